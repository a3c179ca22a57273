package health

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// A task that its load balancer rejects is DEACTIVATING for as long as the target
// group drains it, by default five minutes. Its reason is known from the start.
func TestWatch_doesNotWaitForTheDrainingOfRejectedTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		for i := range 4 {
			f.at(time.Duration(10*i)*time.Second, func() {
				id := fmt.Sprint("new", i)
				f.start(id, "ecs-svc/2", 38)
				f.up(id)
			})
			f.at(time.Duration(10*i+9)*time.Second, func() {
				task := f.task(fmt.Sprint("new", i))
				task.LastStatus, task.DesiredStatus = aws.String("DEACTIVATING"), aws.String("STOPPED")
				task.StopCode = types.TaskStopCodeServiceSchedulerInitiated
				task.StoppedReason, task.StoppingAt = aws.String("Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:x)"), aws.Time(f.now())
			})
		}
		got := watch(f, Policy{Timeout: 10 * time.Minute})
		got.want(t, Failing, event.CodeUnhealthyTarget)
		if got.took > time.Minute {
			t.Errorf("the verdict took %s, want it before the draining is over", got.took)
		}
		says(t, got.Failure, "failed the health checks of its load balancer")
	})
}

// ECS sets the desired count of a deployment that it has failed to 0, which says
// nothing of the service's.
func TestWatch_aFailedDeploymentIsNotOneThatNobodyWants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(6*time.Second, func() {
			f.breakerBack("ecs-svc/2", "ecs-svc/1")
			f.deployment("ecs-svc/2").DesiredCount = 0
		})
		got := watch(f, Policy{Timeout: time.Minute})
		if n := noted(got.told, "the desired count of backend is 0: ECS starts no task, and nothing can be proven"); n != 0 {
			t.Errorf("it was told %d times that nobody wants tasks", n)
		}
	})
}
