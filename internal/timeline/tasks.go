package timeline

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
)

// wanted are the tasks that a query is about.
func (q Query) wanted(tasks []types.Task) []types.Task {
	var out []types.Task
	for _, t := range tasks {
		if q.Revision != "" && history.Revision(aws.ToString(t.TaskDefinitionArn)) != q.Revision {
			continue
		}
		if q.Failed && !failed(t) {
			continue
		}
		out = append(out, t)
	}
	return out
}

func stopped(t types.Task) bool { return t.StoppedAt != nil || aws.ToString(t.LastStatus) == "STOPPED" }

// failed says whether a task ended as one that counts against its revision.
func failed(t types.Task) bool {
	return stopped(t) && health.Classify(health.Facts{Task: t}).Weight >= health.Counts
}

// states are the moments of a task's life that ECS gives the time of.
func states(t types.Task) []Entry {
	of := func(at *time.Time, text string) Entry {
		return Entry{
			At: aws.ToTime(at).UTC(), Kind: Task, Text: text,
			Task: history.Short(aws.ToString(t.TaskArn)), Revision: history.Name(aws.ToString(t.TaskDefinitionArn)),
		}
	}
	var out []Entry
	for _, m := range []struct {
		at   *time.Time
		text string
	}{
		{t.CreatedAt, "created"}, {t.PullStartedAt, "pulling its images"}, {t.StartedAt, "running"}, {t.StoppingAt, "stopping"},
	} {
		if m.at != nil {
			out = append(out, of(m.at, m.text))
		}
	}
	if t.StoppedAt == nil {
		return out
	}
	f := health.Classify(health.Facts{Task: t})
	end := of(t.StoppedAt, "stopped: "+f.Message)
	if reason := aws.ToString(t.StoppedReason); reason != "" && !strings.Contains(end.Text, reason) {
		end.Text += " (" + reason + ")"
	}
	if f.Weight >= health.Counts {
		end.Code, end.Container = string(f.Code), f.Container
	}
	return append(out, end)
}

// events are the service's events; of a query for some tasks, those from their
// time.
func (q Query) events(s types.Service, tasks []types.Task) []Entry {
	var from, to time.Time
	for i, t := range tasks {
		if at := aws.ToTime(t.CreatedAt); i == 0 || at.Before(from) {
			from = at
		}
		end := aws.ToTime(t.StoppedAt)
		if end.IsZero() {
			end = time.Now()
		}
		if end.After(to) {
			to = end
		}
	}
	const around = 30 * time.Second
	some := q.Failed || q.Revision != ""
	var out []Entry
	for _, e := range s.Events {
		at := aws.ToTime(e.CreatedAt)
		if some && (len(tasks) == 0 || at.Before(from.Add(-around)) || at.After(to.Add(around))) {
			continue
		}
		out = append(out, Entry{At: at.UTC(), Kind: Event, Text: aws.ToString(e.Message)})
	}
	return out
}
