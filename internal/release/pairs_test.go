package release_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// pair is two releases of two people, begun in the same moment.
type pair struct {
	good, redeploy bool          // their images serve; both deploy the serving revision anew
	apart          time.Duration // the second one begins later
}

// Twenty times two people release within the same second. One of them proceeds, the
// other one is refused or superseded; never are both half done, and never does one
// roll the other back.
func TestOfTwoReleasesInTheSameSecondExactlyOneProceeds(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	slots := make(chan struct{}, 5)
	for n := range 20 {
		p := pair{good: n%5 != 4, redeploy: n%5 == 3, apart: time.Duration(n/5) * 3 * time.Millisecond}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			p.race(t, fmt.Sprintf("pair %d %+v", n, p))
		})
	}
	all.Wait()
}

func (p pair) race(t *testing.T, name string) {
	scripts := map[string]scripted.Script{}
	if !p.good {
		scripts["backend:38"], scripts["backend:39"] = atOnce, atOnce
	}
	w := newWorld(t, incident, scripts)
	results := make([]event.Result, 2)
	var both sync.WaitGroup
	for i := range results {
		both.Go(func() {
			s := w.settings("good")
			s.By, s.RunID = fmt.Sprintf("person%d@laptop", i), fmt.Sprintf("run%d", i)
			if s.Redeploy = p.redeploy; p.redeploy {
				s.Image = strings.Replace(s.Image, ":good", ":v1", 1)
			}
			time.Sleep(time.Duration(i) * p.apart)
			results[i] = w.run(s).Execute(t.Context())
		})
	}
	both.Wait()
	proceeds := map[int]bool{0: p.good, 3: !p.good}
	winner := 0
	if !proceeds[results[0].ExitCode] {
		winner = 1
	}
	won, lost := results[winner], results[1-winner]
	if !p.good && proceeds[lost.ExitCode] && w.apart(won, lost) {
		return // the first one had failed and gone back before the second one deployed
	}
	if !proceeds[won.ExitCode] || lost.ExitCode != 4 && lost.ExitCode != 6 {
		t.Errorf("%s: they ended with exit %d (%v) and %d (%v), want one to proceed and the other refused or superseded\n%s",
			name, results[0].ExitCode, results[0].Failure, results[1].ExitCode, results[1].Failure, w.story())
		return
	}
	serving := history.Revision(release.ServingARN(w.service()))
	if want := history.Revision(won.Serving); serving != want || p.good && !p.redeploy && history.Revision(won.TaskDefinition) != want {
		t.Errorf("%s: %s serves, and the winner says that %s does, having deployed %s", name, serving, want, won.TaskDefinition)
	}
	if n := w.count("StopServiceDeployment"); p.good && n > 0 || n > 2 {
		t.Errorf("%s: StopServiceDeployment was called %d times", name, n)
	}
	w.onlyOne(name, lost)
}

// apart says whether the deployments of two releases followed one another.
func (w *world) apart(a, b event.Result) bool {
	var of []history.Attempt
	for _, x := range w.ledger().Attempts { // newest first
		if x.TaskDefinition == a.TaskDefinition || x.TaskDefinition == b.TaskDefinition {
			of = append(of, x)
		}
	}
	return len(of) == 2 && !of[1].Finished.IsZero() && !of[0].Created.Before(of[1].Finished)
}

// onlyOne wants nothing of the loser to be left: its revision is out of use or
// superseded, and the service has the settings of before.
func (w *world) onlyOne(name string, lost event.Result) {
	w.t.Helper()
	if before, after := asJSON(w.t, w.before), asJSON(w.t, w.service().DeploymentConfiguration); before != after {
		w.t.Errorf("%s: the service's settings are %s, want %s as before\n%s", name, after, before, w.story())
	}
	l := w.ledger()
	for _, a := range l.Attempts {
		if v := l.Tags[a.TaskDefinition].Backstop; v != "" {
			w.t.Errorf("%s: %s is left with the circuit breaker's setting %s\n%s", name, history.Name(a.TaskDefinition), v, w.story())
		}
	}
	if arn := lost.TaskDefinition; lost.ExitCode == 4 && arn != "" && !l.EverProven(arn) && l.Statuses[arn] == "ACTIVE" {
		w.t.Errorf("%s: %s was refused and stays in use", name, history.Name(arn))
	}
}
