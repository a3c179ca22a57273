package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// tally counts the failed tasks of a deployment.
type tally struct {
	failed []*failed
	// before counts, by code, what the revision that served before failed with.
	before map[event.Code]int
	// earlier are those failures: the first of each code, whose log may have to be
	// read to know what its exit code hides.
	earlier map[event.Code]*failed
	// elsewhere says whether tasks of ours fare better on other hosts than this one
	// did on its own; nil when hosts are not known.
	elsewhere func(*failed) bool
	// decided is when the answer arrived that made decide say yes.
	decided time.Time
}

// failed is one failed task of ours.
type failed struct {
	Finding
	facts  Facts
	at     time.Time // when the answer arrived that showed it
	logged bool      // its log was asked for
	lines  []string  // its last log lines
}

// alike says whether two tasks failed in the same way.
func (f *failed) alike(g *failed) bool { return f.Code == g.Code && f.Container == g.Container }

func (t *tally) add(f *failed) { t.failed = append(t.failed, f) }

// known records a failure of the revision that served before.
func (t *tally) known(f Finding, facts Facts) {
	if t.before == nil {
		t.before, t.earlier = map[event.Code]int{}, map[event.Code]*failed{}
	}
	t.before[f.Code]++
	if t.earlier[f.Code] == nil {
		t.earlier[f.Code] = &failed{Finding: f, facts: facts}
	}
}

// isKnown says whether the revision that served before failed alike. Codes are
// compared, not containers: the new revision may have renamed them.
func (t *tally) isKnown(f Finding) bool { return t.before[f.Code] > 0 }

// decide says whether more tasks failed than the deployment may lose: one
// fatally or two alike, and more than are tolerated in all. What was known
// before never counts, and what fails on one host alone counts once. lead is the first task of the group that decides.
func (t *tally) decide(tolerated int) (lead *failed, ok bool) {
	total := 0
	for _, f := range t.failed {
		if f.Weight < Counts || t.isKnown(f.Finding) {
			continue
		}
		total++
		switch {
		case f.Weight == Fatal && (lead == nil || lead.Weight != Fatal):
			lead = f
		case f.Weight == Counts && lead == nil && t.places(f) > 1:
			lead = f
		}
	}
	return lead, lead != nil && total > tolerated
}

// size is how many tasks failed like f.
func (t *tally) size(f *failed) int {
	n := 0
	for _, g := range t.failed {
		if f.alike(g) {
			n++
		}
	}
	return n
}

// places is how many tasks failed like f, those of a host that is to blame taken
// for one: tasks fare better elsewhere.
func (t *tally) places(f *failed) int {
	n, blamed := 0, map[string]bool{}
	for _, g := range t.failed {
		if !f.alike(g) || blamed[g.host()] {
			continue
		}
		n++
		if h := g.host(); h != "" && t.elsewhere != nil && t.elsewhere(g) {
			blamed[h] = true
		}
	}
	return n
}

// host is the container instance that the task ran on; empty on Fargate.
func (f *failed) host() string { return str(f.facts.Task.ContainerInstanceArn) }

// oneHost is the host on which all tasks failed that failed like f, when tasks of
// ours fare better elsewhere.
func (t *tally) oneHost(f *failed) string {
	if t.size(f) < 2 || t.places(f) > 1 {
		return ""
	}
	return f.host()
}

// lead is the failure to show when something else ended the deployment: a fatal
// one, or the first of the largest group.
func (t *tally) lead() *failed {
	var best *failed
	for _, f := range t.failed {
		if best == nil || f.Weight > best.Weight || (f.Weight == best.Weight && t.size(f) > t.size(best)) {
			best = f
		}
	}
	return best
}

// groups are the first tasks of each group of alike failures, in order.
func (t *tally) groups() []*failed {
	var out []*failed
	for _, f := range t.failed {
		if !slices.ContainsFunc(out, f.alike) {
			out = append(out, f)
		}
	}
	return out
}

// lines are the groups in words, but for the one to leave out.
func (t *tally) lines(but *failed) []string {
	var out []string
	for _, g := range t.groups() {
		if but == nil || !g.alike(but) {
			out = append(out, t.line(g))
		}
	}
	return out
}

func (t *tally) line(g *failed) string {
	s := fmt.Sprintf("%d × %s: %s", t.size(g), g.Code, g.Message)
	if g.Reason != "" && !strings.Contains(g.Message, g.Reason) {
		s += " (" + clip(g.Reason, 200) + ")"
	}
	if h := t.oneHost(g); h != "" {
		s += "; only on container instance " + name(h) + ", while tasks on others run"
	}
	if n := t.before[g.Code]; n > 0 {
		s += fmt.Sprintf("; the revision before failed alike %s in the last hour", times(n))
	}
	return s
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// clip cuts a text for people.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// tellKnown says why a failure does not end the deployment.
func (r *run) tellKnown(f Finding) {
	r.emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("task %s failed with %s; %s failed alike %s in the last hour, so this does not end the deployment",
		f.Task, f.Code, name(r.scope.previous), times(r.tally.before[f.Code]))})
}

// tellHost says, once, that a host is to blame and not the revision.
func (r *run) tellHost(f *failed) {
	h := r.tally.oneHost(f)
	if h == "" || f.Weight != Counts {
		return
	}
	r.tellOnce("host "+h, event.Warn, fmt.Sprintf("%d × %s, only on container instance %s, while tasks on others run: counted once. To place tasks elsewhere: "+
		"aws ecs update-container-instances-state --cluster %s --container-instances %s --status DRAINING%s",
		r.tally.size(f), f.Code, name(h), cmp.Or(r.scope.cluster, "default"), name(h), InRegion(h)))
}

// tellUnjudged warns of a failed task that nothing depends on.
func (r *run) tellUnjudged(f Finding) {
	r.emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("task %s of %s, started for the rollback, failed: %s",
		f.Task, name(r.scope.taskDefinition), f.Message)})
}
