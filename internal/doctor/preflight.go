package doctor

import (
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/release"
)

func configuration(wrong, untagged error) []Finding {
	var out []Finding
	for _, f := range event.FailuresOf(wrong) {
		out = append(out, failed("configuration", f))
	}
	for _, f := range event.FailuresOf(untagged) {
		out = append(out, Finding{Name: "configuration", Status: Warn, Detail: f.Error(), Mend: mend(f)})
	}
	if len(out) == 0 {
		return one("configuration", OK, "nothing is wrong with it", "")
	}
	return out
}

// failed is a finding of a failure.
func failed(name string, f *event.Failure) Finding {
	return Finding{Name: name, Status: Fail, Detail: f.Error(), Mend: mend(f), Code: f.Code}
}

// mend is the command that a failure offers, or its hint where there is none. A
// command that only looks mends nothing, so that a hint is better.
func mend(f *event.Failure) string {
	looks := func(c string) bool {
		return strings.HasPrefix(c, "aws sts ") || strings.Contains(c, " list-") || strings.HasPrefix(c, "git status") ||
			strings.HasPrefix(c, "weelo-deploy history")
	}
	if i := slices.IndexFunc(f.Next, func(c string) bool { return !looks(c) }); i >= 0 {
		return f.Next[i]
	}
	return strings.Join(append(slices.Clone(f.Hints), f.Next...), "; ")
}

// names give checks that preflight makes as one a name of their own where the
// failure tells which it was.
var names = map[event.Code]string{
	event.CodeNoRollbackTarget: "rollback target", event.CodeDeploymentInProgress: "deployment",
}

// preflight are the findings of preflight's own checks.
func preflight(in release.Inspection) []Finding {
	var out []Finding
	for _, c := range in.Checks {
		f := Finding{Name: c.Name, Detail: c.Detail, Code: c.Code}
		switch c.Status {
		case event.Skipped:
			f.Status = Skip
		case event.Warned:
			f.Status, f.Mend = Warn, c.Hint
		case event.Failed:
			f.Status, f.Mend = Fail, c.Hint
			if name := names[c.Code]; name != "" {
				f.Name = name
			}
			if i := slices.IndexFunc(in.Failures, func(have *event.Failure) bool { return have.Error() == c.Detail }); i >= 0 {
				f.Mend = mend(in.Failures[i])
			}
		default:
			f.Status = OK
		}
		out = append(out, f)
	}
	for _, n := range in.Notes {
		if n.Level == event.Warn {
			out = append(out, Finding{Name: "service", Status: Warn, Detail: n.Text})
		}
	}
	return out
}
