package health

import (
	"regexp"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
)

// about finds what an event of the service is about before it says what happened:
// "(service backend) (task 0123…) (instance 10.0.0.1) failed container health checks."
var about = regexp.MustCompile(`^(?:\s*\((?:service|task|instance|port|deployment) [^)]*\),?)+`)

// announced are the events of a service that tell of trouble beyond the texts of
// stopped tasks (Service event messages, ECS Developer Guide). That ECS may not
// use a role has more texts than are documented; they all name the role.
var announced = []rule{
	{anything, goingBack, event.CodeECSRolledBack, Counts, "ECS goes back", nil},
	{anything, text(`alarms? (?:was |were )?detected|alarm .*\bALARM\b|in alarm state`), event.CodeAlarm, Counts, "a CloudWatch alarm of the service went off", nil},
	{anything, text(`deployment failed`), event.CodeECSGaveUp, Counts, "ECS gave the deployment up", nil},
	{anything, text(`because of the service deployment configuration`), event.CodeServiceNotReady, Counts, "minimumHealthyPercent and maximumPercent let ECS neither start nor stop a task", []string{
		"raise maximumPercent, or lower minimumHealthyPercent"}},
	{anything, text(`operations are being throttled`), event.CodeUnavailable, Waits, "AWS throttles ECS's own calls for the service", nil},
	{anything, text(`(?:assume|pass) (?:the |service-linked )*(?:IAM )?role|\bIAM\b|trust (?:policy|relationship)`), event.CodeAccessDenied, Counts, "ECS may not use a role", []string{
		"let ecs-tasks.amazonaws.com assume the task's roles, and look at the service-linked role AWSServiceRoleForECS"}},
}

// Announcement says what an event of a service tells of: a text of stopped tasks
// that it quotes, or a trouble of its own. An event that tells of none gives
// false. Events are evidence, not verdicts: nobody says which deployment they
// belong to, and AWS leaves repeated ones out.
func Announcement(message string) (Finding, bool) {
	text := strings.TrimSpace(about.ReplaceAllString(message, ""))
	if !trouble.MatchString(text) {
		return Finding{}, false
	}
	for _, list := range [][]rule{announced, rules} {
		for _, r := range list {
			if out, ok := r.match(said{text: text}); ok {
				out.Message = strings.TrimPrefix(out.Message, "the task: ")
				return out, true
			}
		}
	}
	return Finding{}, false
}
