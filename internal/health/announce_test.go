package health

import (
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

// The texts are those of "Service event messages" in the ECS Developer Guide and
// of services that users showed.
func TestAnnouncement(t *testing.T) {
	for _, c := range []struct {
		text string
		code event.Code // empty: no trouble
	}{
		{"(service S) has reached a steady state.", ""},
		{"(service S) has started 2 tasks: (task 0123456789abcdef) (task fedcba9876543210).", ""},
		{"(service S) has stopped 1 running tasks: (task 0123456789abcdef).", ""},
		{"(service S) stopped 2 pending tasks.", ""},
		{"(service S) registered 1 targets in (target-group arn:aws:elasticloadbalancing:x)", ""},
		{"(service S) (deployment ecs-svc/2) deployment completed.", ""},
		{"(service S) is AZ balanced with 2 tasks in ap-south-1a", ""},
		{"(service S) AZ Rebalancing in progress", ""},
		{"(service failing) has reached a steady state.", ""},

		{"(service S) has started 1 tasks: (task 0123456789abcdef). Amazon ECS replaced 1 tasks due to an unhealthy status.", event.CodeUnhealthy},
		{"(service S) (task 0123456789abcdef) failed container health checks.", event.CodeUnhealthyContainer},
		{"(service S) (task 0123456789abcdef) (instance 10.0.0.1) (port 3000) is unhealthy in (target-group arn:aws:elasticloadbalancing:x) due to (reason Health checks failed with these codes: [502])", event.CodeUnhealthyTarget},
		{"(service S) (instance i-1) (port 3000) is unhealthy in (target-group arn:aws:elasticloadbalancing:x) due to (reason Request timed out)", event.CodeUnhealthyTarget},
		{"(service S) (deployment ecs-svc/2) deployment failed: tasks failed to start.", event.CodeECSGaveUp},
		{"(service S) (deployment ecs-svc/2) deployment failed: alarm detected.", event.CodeAlarm},
		{"(service S) rolling back to deployment ecs-svc/1.", event.CodeECSRolledBack},
		{"(service S) was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance i) has insufficient memory available.", event.CodePlacement},
		{"(service S) was unable to place a task. Reason: CannotPullContainerError: pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'.", event.CodeCannotPullPlatform},
		{"(service S) was unable to place a task. Reason: CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref x: not found.", event.CodeCannotPullNotFound},
		{"(service S) was unable to place a task. Reason: ResourceInitializationError: unable to pull secrets or registry auth: AccessDeniedException", event.CodeResourceDenied},
		{"(service S) was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.", event.CodeCapacity},
		{"(service S) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently.", event.CodeQuota},
		{"(service S) was unable to place a task. Reason: Internal error.", event.CodeCapacity},
		{"(service S) was unable to place a task because the provisioning capacity limit was exceeded.", event.CodeQuota},
		{"(service S) is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.", event.CodeCannotStart},
		{"(service S) operations are being throttled. Will try again later.", event.CodeUnavailable},
		{"(service S) was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.", event.CodeServiceNotReady},
		{"(service S) could not launch 1 tasks for deployment ecs-svc/2.", event.CodeCannotStart},
		{"(service S) failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::1:role/r' that was provided for this task.).", event.CodeAccessDenied},
		{"(service S) was unable to reach steady state because task set (ecs-svc/2) was unable to scale in.", ""},
		{"(service S) tomorrow's failure.", ""},
	} {
		got, told := Announcement(c.text)
		if got.Code != c.code || told != (c.code != "") {
			t.Errorf("Announcement(%q) = %q, %t; want %q", c.text, got.Code, told, c.code)
		}
		if told && (got.Message == "" || got.Reason == "") {
			t.Errorf("Announcement(%q) = %+v, want a message and AWS's words", c.text, got)
		}
	}
}
