package panel

import (
	"fmt"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// service is the deployments, the tasks, how many were healthy when, and what is
// waited for.
func (v View) service(columns, room int) []line {
	if v.Final && v.Run.Result != nil && v.Run.Result.Outcome == event.InterruptedO {
		return nil // last seen before the signal: the verdict below has looked again
	}
	var out, foot []line
	live := 0
	for _, d := range v.Run.Deployments {
		if !d.Gone() {
			live++
		}
	}
	const mostDeployments, mostTasks = 3, 6
	for _, d := range v.Run.Deployments {
		if (!d.Gone() || live == 0) && len(out) < mostDeployments {
			out = append(out, deployment(d))
		}
	}
	if spark := v.spark(columns); !spark.empty() {
		foot = append(foot, spark)
	}
	if v.Run.Awaited != "" && !v.Final {
		foot = append(foot, line{{dim, "  " + v.Run.Awaited}})
	}
	out = append(out, v.tasks(min(room-len(out)-len(foot), mostTasks), columns)...)
	out = append(out, foot...)
	return out[:min(len(out), max(room, 0))]
}

func deployment(d *chronicle.Deployment) line {
	name := words.Name(d.TaskDefinition)
	l := line{{bold, fmt.Sprintf("  %-8s%s", d.Status, name)}}
	tone := good
	if d.Running < d.Desired {
		tone = plain
	}
	l = append(l, part{tone, fmt.Sprintf("  %d/%d running", d.Running, d.Desired)})
	if d.Pending > 0 {
		l = append(l, part{plain, fmt.Sprintf(", %d pending", d.Pending)})
	}
	if d.FailedTasks > 0 {
		l = append(l, part{bad, fmt.Sprintf(", %d failed", d.FailedTasks)})
	}
	if d.RolloutState != "" {
		t := dim
		if d.RolloutState == "FAILED" {
			t = bad
		}
		l = append(l, part{t, "  " + strings.ReplaceAll(strings.ToLower(d.RolloutState), "_", " ")})
	}
	if !d.Ours {
		l = append(l, part{dim, "  not ours"})
	}
	return l
}

// tasks are by name, failures first; those that have no room are counted.
func (v View) tasks(room, columns int) []line {
	list := v.Run.Watched()
	if room <= 0 || len(list) == 0 {
		return nil
	}
	var out []line
	shown := list
	if len(list) > room {
		shown = list[:room-1]
	}
	for _, t := range shown {
		out = append(out, v.task(t, columns))
	}
	rest := list[len(shown):]
	if len(rest) == 0 {
		return out
	}
	more := line{{dim, fmt.Sprintf("    … and %d more tasks", len(rest))}}
	if failed := count(rest, (*chronicle.Task).Failed); failed > 0 {
		more = append(more, part{bad, fmt.Sprintf(", %d failed", failed)})
	}
	return append(out, more)
}

func count(list []*chronicle.Task, is func(*chronicle.Task) bool) int {
	n := 0
	for _, t := range list {
		if is(t) {
			n++
		}
	}
	return n
}

func (v View) task(t *chronicle.Task, columns int) line {
	since := t.Began
	mark, tone := "·", plain
	what := t.Status
	switch {
	case t.Failed():
		mark, tone, since = "✖", bad, t.Ended
		what = string(t.Code)
		if t.Container != "" {
			what += ", " + t.Container
		}
		if t.Reason != "" {
			what += ": " + t.Reason
		}
	case t.Status == "STOPPED":
		mark, tone, since = "–", dim, t.Ended
		if t.Reason != "" {
			what += ": " + t.Reason
		}
	case t.Health == "UNHEALTHY":
		mark, tone = "!", warn
		what += ", unhealthy"
	case t.Health == "HEALTHY":
		mark, tone, since = "✓", good, t.Healthy
		what += ", healthy"
	case t.Status == "RUNNING":
		mark, tone, since = "✓", good, t.Running
	}
	l := line{{tone, "    " + mark + " "}, {plain, words.ID(t.ID) + " "}, {dim, words.Name(t.Revision) + "  "}, {tone, what}}
	return l.right(ago(v.Now.Sub(since)), columns)
}

// ago is a time that only counts seconds: tenths would flicker.
func ago(d time.Duration) string {
	if d = max(d, 0).Truncate(time.Second); d < time.Minute {
		return d.String()
	}
	return words.Took(d.Seconds())
}

// spark is the number of healthy tasks over time, in blocks of an eighth.
func (v View) spark(columns int) line {
	samples := v.Run.Health
	if len(v.Run.Tasks) == 0 || len(samples) == 0 {
		return nil
	}
	most := 1
	for _, s := range samples {
		most = max(most, s.Healthy, s.Desired)
	}
	width := min(30, max(10, columns/4))
	levels := []rune(" ▁▂▃▄▅▆▇█")
	from, to := samples[0].At, v.Now
	var b strings.Builder
	i := 0
	for c := range width {
		at := from.Add(to.Sub(from) * time.Duration(c+1) / time.Duration(width))
		for i+1 < len(samples) && !samples[i+1].At.After(at) {
			i++
		}
		n := samples[i].Healthy
		level := (n*(len(levels)-1) + most - 1) / most
		b.WriteRune(levels[level])
	}
	last := samples[len(samples)-1]
	text := fmt.Sprintf(" %d healthy", v.Run.Healthy())
	if last.Desired > 0 {
		text = fmt.Sprintf(" %d of %d healthy", v.Run.Healthy(), last.Desired)
	}
	return line{{dim, "  ▕"}, {good, b.String()}, {dim, "▏"}, {plain, text}}
}
