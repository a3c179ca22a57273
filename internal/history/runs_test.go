package history

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// tagged is a ledger whose revision 38 carries tags.
func tagged(tags map[string]string, attempts ...attempt) Ledger {
	l := ledger(attempts...)
	l.Tags[arn(38)] = parse(tags)
	return l
}

func TestARunIsConcludedByItsOwnOutcomeOnly(t *testing.T) {
	for name, c := range map[string]struct {
		tags map[string]string
		want bool
	}{
		"no run of ours":              {map[string]string{}, false},
		"a run without an outcome":    {map[string]string{keys.Run: "r1"}, true},
		"its outcome":                 {map[string]string{keys.Run: "r1", keys.Outcome: "proven 2026-11-22T11:00:00Z r1"}, false},
		"superseded":                  {map[string]string{keys.Run: "r1", keys.Outcome: "superseded 2026-11-22T11:00:00Z r1"}, false},
		"the outcome of a run before": {map[string]string{keys.Run: "r2", keys.Outcome: "proven 2026-11-22T11:00:00Z r1"}, true},
		"a pinned copy":               {map[string]string{keys.Run: "r1", KeyCopyOf: "f:27"}, false},
		"a run on another service":    {map[string]string{KeysOf("weelocluster", "worker").Run: "r1"}, false},
	} {
		if got := tagged(c.tags, attempt{revision: 38, status: running}).Unconcluded(arn(38)); got != c.want {
			t.Errorf("%s: Unconcluded = %t, want %t", name, got, c.want)
		}
	}
}

// Whoever deploys a revision again after a run that died is somebody else.
func TestOnlyTheFirstDeploymentOfARevisionIsTheRunsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		run      string
		attempts []attempt
		want     bool
		deployed bool
	}{
		"its own, in progress":                         {"r1 after 0", []attempt{{revision: 27, status: ok}, {revision: 38, status: running}}, true, true},
		"its own was stopped, and somebody came again": {"r1 after 0", []attempt{{revision: 27, status: ok}, {revision: 38, status: stopped}, {revision: 38, status: running}}, false, true},
		"a redeploy by the run":                        {"r2 after 1", []attempt{{revision: 27, status: ok}, {revision: 38, status: ok}, {revision: 38, status: running}}, true, true},
		"somebody's redeploy after the run's":          {"r2 after 1", []attempt{{revision: 27, status: ok}, {revision: 38, status: ok}, {revision: 38, status: ok}, {revision: 38, status: running}}, false, true},
		"ECS does not show the redeploy yet":           {"r2 after 1", []attempt{{revision: 27, status: ok}, {revision: 38, status: ok}}, true, false},
		"ECS has forgotten what the run came after":    {"r2 after 77", []attempt{{revision: 38, status: running}}, true, false},
		"ECS shows nothing yet":                        {"r1 after 0", []attempt{{revision: 27, status: ok}}, true, false},
		"no history may be read":                       {"r1", nil, true, false},
		"a run that could not read the history":        {"r1", []attempt{{revision: 38, status: running}}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := tagged(map[string]string{keys.Run: c.run}, c.attempts...)
			if got := l.Unconcluded(arn(38)); got != c.want {
				t.Errorf("Unconcluded = %t, want %t", got, c.want)
			}
			if got := l.Deployed(arn(38)); got != c.deployed {
				t.Errorf("Deployed = %t, want %t", got, c.deployed)
			}
		})
	}
}

func TestTheNewestReleaseSpeaksOfTheCircuitBreaker(t *testing.T) {
	off := map[string]string{keys.Run: "r1", keys.Backstop: "enable=false rollback=false"}
	for name, c := range map[string]struct {
		l    Ledger
		want string
	}{
		"left by the newest release":                  {tagged(off, attempt{revision: 38, status: running}), "38"},
		"left before a rollback by hand that died":    {tagged(off, attempt{revision: 27, status: ok}, attempt{revision: 38, status: stopped}, attempt{revision: 27, status: running}), "38"},
		"no history may be read":                      {tagged(off), ""},
		"a later release has restored it or taken it": {tagged(off, attempt{revision: 38, status: stopped}, attempt{revision: 39, status: ok}), ""},
		"of another service": {tagged(map[string]string{keys.Run: "r1", KeysOf("weelocluster", "worker").Backstop: "enable=false rollback=false"},
			attempt{revision: 38, status: running}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.l.Tags[arn(39)] = parse(map[string]string{keys.Run: "r2", keys.Outcome: "proven 2026-11-22T11:00:00Z r2"})
			got, v := c.l.Backstop()
			if v == "" {
				got = ""
			}
			if Revision(got) != c.want {
				t.Errorf("Backstop = %s %q, want that of %q", Revision(got), v, c.want)
			}
		})
	}
}

// 38 completed, and its release concluded that it failed: in bake, or by its checks.
func TestWhatItsOwnReleaseFoundFailedIsNoTarget(t *testing.T) {
	tagged := func(l Ledger) Ledger {
		l.Tags[arn(38)] = parse(map[string]string{keys.Run: "r38 after 0", keys.Outcome: "failed 2026-02-03T11:04:00Z r38", keys.Code: "CHECK_FAILED"})
		return l
	}
	then := func(more ...attempt) Ledger {
		return tagged(ledger(append([]attempt{{revision: 27, status: ok}, {revision: 38, status: ok}}, more...)...))
	}
	for name, c := range map[string]struct {
		ledger    Ledger
		primary   int
		state     types.DeploymentRolloutState
		automatic string
		byHand    string
	}{
		"it serves, since nobody wanted a rollback": {then(), 38, completed, "38", "27"},
		"it crashes":                                     {then(), 38, inProgress, "27", "27"},
		"a newer one serves":                             {then(attempt{revision: 39, status: ok}), 39, completed, "39", "27"},
		"a newer one is on its way":                      {then(attempt{revision: 39, status: running}), 39, inProgress, "27", "27"},
		"the way back from it did not complete":          {then(attempt{revision: 27, status: running}), 27, inProgress, "27", "27"},
		"somebody deployed it again, and it succeeded":   {then(attempt{revision: 38, status: ok}, attempt{revision: 39, status: running}), 39, inProgress, "38", "38"},
		"a rollback restored it, which is a proof again": {then(attempt{revision: 39, status: back, back: 38}, attempt{revision: 40, status: running}), 40, inProgress, "38", "38"},
	} {
		t.Run(name, func(t *testing.T) {
			s := service(c.primary, c.state, 1)
			a, _ := c.ledger.Automatic(s, time.Time{})
			b, passed := c.ledger.ByHand(s)
			if revision(a) != c.automatic || revision(b) != c.byHand {
				t.Errorf("automatic %s, by hand %s; want %s and %s (%v)", revision(a), revision(b), c.automatic, c.byHand, passed)
			}
		})
	}
	if l := then(); !l.EverProven(arn(38)) {
		t.Error("a revision that ECS ever called a success counts as one that never succeeded")
	}
}

// ECS calls a deployment a success that its release found wanting after it completed.
func TestTheOutcomeOfAnAttemptIsWhatItsOwnRunRecorded(t *testing.T) {
	for name, c := range map[string]struct{ tag, want, code string }{
		"a redeploy that failed":     {"proven 2026-11-22T11:00:00Z r2 CHECK_FAILED", "completed, then failed", "CHECK_FAILED"},
		"a redeploy that went well":  {"proven 2026-11-22T11:00:00Z r2", "succeeded", ""},
		"what another run recorded":  {"proven 2026-11-22T11:00:00Z r1 CHECK_FAILED", "succeeded", ""},
		"a revision that is refuted": {"failed 2026-11-22T11:00:00Z r2", "completed, then failed", "failed"},
	} {
		l := tagged(map[string]string{keys.Run: "r2 after 1", keys.Outcome: c.tag},
			attempt{revision: 27, status: ok}, attempt{revision: 38, status: ok}, attempt{revision: 38, status: ok}, attempt{revision: 38, status: ok})
		for i, a := range l.Attempts { // newest first: the way back, the redeploy, the release
			want, code := "succeeded", ""
			if i == 1 {
				want, code = c.want, c.code
			}
			if got, gotCode := l.Outcome(a), l.Failure(a); got != want || gotCode != code {
				t.Errorf("%s: attempt %d is %q with %q, want %q with %q", name, i, got, gotCode, want, code)
			}
		}
	}
}
