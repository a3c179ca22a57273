package chronicle

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

func who(e event.Log) string { return strings.TrimSpace(e.Container + " " + words.ID(e.Task)) }

func (r *Run) task(e event.Task) {
	i := slices.IndexFunc(r.Tasks, func(t *Task) bool { return t.ID == e.ID })
	if i < 0 {
		r.Tasks = append(r.room(), &Task{Began: r.Now})
		i = len(r.Tasks) - 1
	}
	t := r.Tasks[i]
	t.Task = e
	r.checked = r.checked || e.Health != ""
	if e.Status == "RUNNING" && t.Running.IsZero() {
		t.Running = r.Now
	}
	if r.healthy(t) && t.Healthy.IsZero() {
		t.Healthy = r.Now
	}
	if (e.Status == "STOPPED" || e.Code != "") && t.Ended.IsZero() {
		t.Ended = r.Now
	}
	r.sample()
}

// room drops the oldest task that ended well when there are too many.
func (r *Run) room() []*Task {
	if len(r.Tasks) < mostTasks {
		return r.Tasks
	}
	i := max(slices.IndexFunc(r.Tasks, func(t *Task) bool { return !t.Ended.IsZero() && !t.Failed() }), 0)
	return slices.Delete(r.Tasks, i, i+1)
}

// healthy says whether a task serves as far as is known: where tasks have health
// checks, one that has not passed them does not.
func (r *Run) healthy(t *Task) bool {
	return t.Status == "RUNNING" && t.Code == "" && (t.Health == "HEALTHY" || t.Health == "" && !r.checked)
}

// Healthy is how many of the tasks that were seen serve.
func (r *Run) Healthy() int {
	n := 0
	for _, t := range r.Tasks {
		if r.healthy(t) {
			n++
		}
	}
	return n
}

// Watched are the tasks, those first that a reader must see: the failed, then
// those on their way, then the healthy, then those that ended otherwise; the newest
// first among equals.
func (r *Run) Watched() []*Task {
	rank := func(t *Task) int {
		switch {
		case t.Failed():
			return 0
		case t.Status == "STOPPED":
			return 3
		case r.healthy(t):
			return 2
		}
		return 1
	}
	list := slices.Clone(r.Tasks)
	slices.SortStableFunc(list, func(a, b *Task) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.Began.Compare(a.Began))
	})
	return list
}

// sample notes how the service stands, once for each moment.
func (r *Run) sample() {
	s := Sample{At: r.Now, Healthy: r.Healthy()}
	for _, d := range r.Deployments {
		switch {
		case d.Gone():
		case d.Ours:
			s.Ours += d.Running
		default:
			s.Others += d.Running
		}
		if d.Status == "PRIMARY" {
			s.Desired = d.Desired
		}
	}
	if n := len(r.Health); n > 0 && r.Health[n-1].At.Equal(s.At) {
		r.Health[n-1] = s
		return
	}
	r.Health = append(last(r.Health, mostSamples-1), s)
}

// Cached is how many of the Dockerfile's steps of a stage are over and how many of
// them came from the cache.
func (r *Run) Cached(stage string) (over, cached int) {
	for _, s := range r.Steps {
		if s.Stage != stage || !strings.HasPrefix(s.Name, "[") || strings.HasPrefix(s.Name, "[internal]") {
			continue
		}
		switch s.Status {
		case event.Cached:
			over, cached = over+1, cached+1
		case event.Done:
			over++
		}
	}
	return over, cached
}
