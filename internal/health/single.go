package health

import (
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Failure is the finding as an error, for a task that stands for itself.
func (f Finding) Failure() *event.Failure { return f.failure(1) }

// LogStream is where a container's output is in CloudWatch Logs. Region is empty
// where it is the task's own.
type LogStream struct{ Group, Name, Region string }

// StreamOf finds a container's log stream. The error says where its output goes
// instead.
func StreamOf(d Definition, t types.Task, container string) (LogStream, error) {
	s, err := streamOf(d, t, container)
	return LogStream{s.group, s.name, s.region}, err
}

// CleanLine takes out of a container's line what could move a terminal's cursor,
// and bounds its length.
func CleanLine(s string) string { return clean(s) }
