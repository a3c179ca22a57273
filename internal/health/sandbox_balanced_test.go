package health_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// draining is how long a target group takes here for 3600 s, at the speed of these
// tests.
const draining = 9 * time.Second

// behind is the past with a load balancer before the service, whose grace period and
// deregistration delay are so long.
func behind(grace, delay string) string {
	return strings.NewReplacer("GRACE", grace, "DELAY", delay).Replace(balanced)
}

var balanced = strings.NewReplacer(
	"memory: 64, essential: true,\n      healthCheck: {command: [CMD-SHELL, \"true\"], interval: 5, timeout: 2, retries: 1},", "memory: 64, essential: true, portMappings: [{containerPort: 80}],",
	"    desiredCount: 1\n", `    desiredCount: 1
    settings:
      healthCheckGracePeriodSeconds: GRACE
      loadBalancers: [{targetGroupArn: "${TARGET_GROUP:web}", containerName: app, containerPort: 80}]
`).Replace(past) + `
targetGroups: [{name: web, port: 80, type: instance, deregistrationDelay: DELAY, healthCheck: {interval: 5, timeout: 2}}]
loadBalancers: [{name: web, listeners: [{port: 80, targetGroup: web}]}]
`

// serves is a container that answers with what status says of its age.
func serves(status func(age time.Duration) int) scripted.Script {
	began := time.Now() // of the test, before the first task
	return scripted.Script{Serve: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status(time.Since(began)))
		_, _ = io.WriteString(w, "hello")
	})}
}

func always(status int) func(time.Duration) int { return func(time.Duration) int { return status } }

func TestSandbox_behindALoadBalancer(t *testing.T) {
	t.Run("a release that its target group finds healthy serves", func(t *testing.T) {
		t.Parallel()
		w := newWorldOf(t, behind("0", "60"), serves(always(200)))
		v, _, _, err := w.watch(health.Policy{Bake: 50 * time.Millisecond}, nil)
		if err != nil || v.Outcome != health.Serving || v.Failure != nil {
			t.Errorf("Watch() = %s (%v), %v; want it to serve", v.Outcome, v.Failure, err)
		}
	})
	t.Run("a release that answers its health check with 500 fails before the draining ends", func(t *testing.T) {
		t.Parallel()
		w := newWorldOf(t, behind("0", "3600"), serves(always(500)))
		began := time.Now()
		v, watcher, s, err := w.watch(health.Policy{}, nil)
		if err != nil || v.Outcome != health.Failing {
			t.Fatalf("Watch() = %s (%v), %v; want it to fail", v.Outcome, v.Failure, err)
		}
		if took := time.Since(began); took > draining {
			t.Errorf("the verdict took %s, and the draining %s", took, draining)
		}
		v = watcher.Explain(t.Context(), s, v)
		if v.Failure.Code != event.CodeUnhealthyTarget || !strings.Contains(v.Failure.Message, "failed the health checks of its load balancer") {
			t.Errorf("failure = %s, %q", v.Failure.Code, v.Failure.Message)
		}
		hints := strings.Join(v.Failure.Hints, "\n")
		if !strings.Contains(hints, "healthCheckGracePeriodSeconds") {
			t.Errorf("hints are %q", hints)
		}
		if evidence := strings.Join(v.Failure.Evidence, "\n"); !strings.Contains(evidence, "Health checks failed with these codes: [500]") {
			t.Errorf("the evidence does not say what the target group saw:\n%s", evidence)
		}
	})
	t.Run("a slow start that the grace period covers serves", func(t *testing.T) {
		t.Parallel()
		slow := func(age time.Duration) int {
			if age < 700*time.Millisecond {
				return 503
			}
			return 200
		}
		w := newWorldOf(t, behind("5", "60"), serves(slow))
		v, _, _, err := w.watch(health.Policy{Bake: 50 * time.Millisecond}, nil)
		if err != nil || v.Outcome != health.Serving {
			t.Errorf("Watch() = %s (%v), %v; want it to serve", v.Outcome, v.Failure, err)
		}
	})
}
