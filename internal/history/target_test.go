package history

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
)

const family = "arn:aws:ecs:ap-south-1:318774499084:task-definition/weelobackendtask:"

var t0 = time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)

func arn(n int) string { return fmt.Sprintf("%s%d", family, n) }

// keys are those of the service of these tests.
var keys = KeysOf("weelocluster", "backend")

func parse(tags map[string]string) Tags { return ParseTags(tags, "weelocluster", "backend") }

// attempt is the n-th thing that happened, an hour after the one before.
type attempt struct {
	revision int
	status   types.ServiceDeploymentStatus
	back     int // went back to
}

const (
	ok      = types.ServiceDeploymentStatusSuccessful
	back    = types.ServiceDeploymentStatusRollbackSuccessful
	stopped = types.ServiceDeploymentStatusStopped
	running = types.ServiceDeploymentStatusInProgress
)

func ledger(attempts ...attempt) Ledger {
	l := Ledger{Cluster: "weelocluster", Service: "backend", Tags: map[string]Tags{}, Statuses: map[string]string{}}
	for i, a := range attempts {
		x := Attempt{
			ARN: fmt.Sprintf("sd/%d", i), Status: a.status, TaskDefinition: arn(a.revision),
			Digests: map[string]string{"app": fmt.Sprintf("sha256:%d", a.revision)},
			Created: t0.Add(time.Duration(i) * time.Hour), Finished: t0.Add(time.Duration(i)*time.Hour + 3*time.Minute),
		}
		if a.back > 0 {
			x.WentBackTo = arn(a.back)
		}
		if !x.Over() {
			x.Finished = time.Time{}
		}
		l.Attempts = append([]Attempt{x}, l.Attempts...)
	}
	return l
}

// service is on revision n, whose deployment stands as state says.
func service(n int, state types.DeploymentRolloutState, runningTasks int32) types.Service {
	return types.Service{DesiredCount: 1, TaskDefinition: aws.String(arn(n)), Deployments: []types.Deployment{{
		Id: aws.String("ecs-svc/1"), Status: aws.String("PRIMARY"), TaskDefinition: aws.String(arn(n)),
		RolloutState: state, RunningCount: runningTasks, DesiredCount: 1, CreatedAt: aws.Time(t0.Add(100 * time.Hour)),
	}}}
}

const (
	completed  = types.DeploymentRolloutStateCompleted
	inProgress = types.DeploymentRolloutStateInProgress
)

func revision(t *Target) string {
	if t == nil {
		return "none"
	}
	return Revision(t.TaskDefinition)
}

func TestAutomaticTarget(t *testing.T) {
	for name, c := range map[string]struct {
		ledger  Ledger
		service types.Service
		want    string
	}{
		"the serving revision, completed": {
			ledger(attempt{revision: 27, status: ok}), service(27, completed, 1), "27"},
		"the incident: 37 stuck on 36, 27 proven, is 27 and neither 36 nor 37": {
			ledger(attempt{revision: 27, status: ok}, attempt{revision: 36, status: stopped}, attempt{revision: 37, status: running}),
			service(37, inProgress, 0), "27"},
		"36 was rolled back to 27: the rollback proves 27": {
			ledger(attempt{revision: 26, status: ok}, attempt{revision: 36, status: back, back: 27}, attempt{revision: 37, status: running}),
			service(37, inProgress, 0), "27"},
		"completed but without tasks is no proof": {
			ledger(attempt{revision: 26, status: ok}, attempt{revision: 27, status: stopped}), service(27, completed, 0), "26"},
		"nothing ever succeeded": {
			ledger(attempt{revision: 1, status: running}), service(1, inProgress, 0), "none"},
		"no deployments on record at all": {
			ledger(), service(1, inProgress, 1), "none"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := c.ledger.Automatic(c.service, time.Time{})
			if revision(got) != c.want {
				t.Errorf("Automatic = %s, want %s", revision(got), c.want)
			}
		})
	}
}

func TestAutomaticTargetSaysWhyNewerRevisionsWerePassedOver(t *testing.T) {
	l := ledger(attempt{revision: 27, status: ok}, attempt{revision: 36, status: stopped}, attempt{revision: 37, status: running})
	l.Tags[arn(37)] = parse(map[string]string{keys.Code: "EXIT_139_SIGSEGV"})
	_, passed := l.Automatic(service(37, inProgress, 0), time.Time{})
	var got []string
	for _, p := range passed {
		got = append(got, Revision(p.TaskDefinition)+" "+p.Why)
	}
	want := []string{
		"37 never completed (IN_PROGRESS), EXIT_139_SIGSEGV on 2026-02-03 12:00Z",
		"36 was stopped before it completed on 2026-02-03 11:00Z",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("passed over (-want +got):\n%s", d)
	}
}

func TestAutomaticTargetOfAResumedReleaseIgnoresItsOwnDeployment(t *testing.T) {
	l := ledger(attempt{revision: 27, status: ok}, attempt{revision: 38, status: ok})
	s := service(38, completed, 1)
	s.Deployments[0].CreatedAt = aws.Time(t0.Add(time.Hour))
	got, _ := l.Automatic(s, t0.Add(time.Hour))
	if revision(got) != "27" {
		t.Errorf("Automatic = %s, want 27: 38 is the deployment that is being resumed", revision(got))
	}
	if got == nil || got.Digests["app"] != "sha256:27" {
		t.Errorf("digests = %v, want the ones that 27 resolved", got)
	}
}

func TestByHandTarget(t *testing.T) {
	for name, c := range map[string]struct {
		attempts []attempt
		service  types.Service
		want     string
	}{
		"the proven revision before the serving one, not one less": {
			[]attempt{{revision: 27, status: ok}, {revision: 36, status: stopped}, {revision: 38, status: ok}}, service(38, completed, 1), "27"},
		"typed twice it never goes forward to what was left": {
			[]attempt{{revision: 26, status: ok}, {revision: 27, status: ok}, {revision: 38, status: ok}, {revision: 27, status: ok}}, service(27, completed, 1), "26"},
		"typed twice with nothing older has no target": {
			[]attempt{{revision: 27, status: ok}, {revision: 38, status: ok}, {revision: 27, status: ok}}, service(27, completed, 1), "none"},
		"a redeploy of the serving revision does not count as another one": {
			[]attempt{{revision: 26, status: ok}, {revision: 27, status: ok}, {revision: 27, status: ok}}, service(27, completed, 1), "26"},
		"forward again by name, then back": {
			[]attempt{{revision: 27, status: ok}, {revision: 38, status: ok}, {revision: 27, status: ok}, {revision: 38, status: ok}}, service(38, completed, 1), "27"},
		"ECS rolled 38 back: from 27 to 26, not to 38": {
			[]attempt{{revision: 26, status: ok}, {revision: 27, status: ok}, {revision: 38, status: back, back: 27}}, service(27, completed, 1), "26"},
		"stuck on 37: the newest proof": {
			[]attempt{{revision: 27, status: ok}, {revision: 37, status: running}}, service(37, inProgress, 0), "27"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := ledger(c.attempts...).ByHand(c.service)
			if revision(got) != c.want {
				t.Errorf("ByHand = %s, want %s", revision(got), c.want)
			}
		})
	}
}

func TestByHandFollowsPinnedCopiesToTheirOriginal(t *testing.T) {
	// 39 is a copy of 27 that a rollback from 38 deployed: the way back from it is
	// what was proven before 27, not 38.
	l := ledger(attempt{revision: 26, status: ok}, attempt{revision: 27, status: ok}, attempt{revision: 38, status: ok}, attempt{revision: 39, status: ok})
	l.Tags[arn(39)] = parse(map[string]string{KeyCopyOf: "weelobackendtask:27"})
	got, _ := l.ByHand(service(39, completed, 1))
	if revision(got) != "26" {
		t.Errorf("ByHand = %s, want 26", revision(got))
	}
}

func TestACopyOfItselfEnds(t *testing.T) {
	l := ledger(attempt{revision: 39, status: ok})
	l.Tags[arn(39)] = parse(map[string]string{KeyCopyOf: "weelobackendtask:39"})
	if got, _ := l.ByHand(service(39, completed, 1)); got != nil {
		t.Errorf("ByHand = %s, want none", revision(got))
	}
}

func TestTagsSpeakOnlyForWhatECSForgot(t *testing.T) {
	key := keys.Outcome
	proven := parse(map[string]string{key: OutcomeValue(Outcome{Kind: Proven, At: t0.Add(50 * time.Hour)})})
	l := ledger(attempt{revision: 36, status: stopped})
	l.Tags[arn(36)], l.Tags[arn(27)] = proven, proven
	got, _ := l.Automatic(service(36, inProgress, 0), time.Time{})
	if revision(got) != "27" {
		t.Errorf("Automatic = %s, want 27: ECS says that 36 was stopped, a tag cannot prove it", revision(got))
	}
	other := parse(map[string]string{KeysOf("weelocluster", "other").Outcome: OutcomeValue(Outcome{Kind: Proven, At: t0})})
	l.Tags = map[string]Tags{arn(27): other}
	if got, _ := l.Automatic(service(36, inProgress, 0), time.Time{}); got != nil {
		t.Errorf("Automatic = %s, want none: 27 was proven on another service", revision(got))
	}
}

func TestOutcomeTags(t *testing.T) {
	at := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	key := KeysOf("arn:aws:ecs:ap-south-1:318774499084:cluster/weelocluster", "backend").Outcome
	if key != "weelo-deploy:weelocluster/backend" {
		t.Errorf("KeysOf = %q", key)
	}
	for _, k := range []Kind{Proven, Failed, Left, Superseded} {
		for _, run := range []string{"", "abc123"} {
			want := Outcome{Kind: k, At: at, Run: run}
			if got := parse(map[string]string{key: OutcomeValue(want)}).Outcome; got != want {
				t.Errorf("round trip of %+v = %+v", want, got)
			}
		}
	}
	for _, v := range []string{"", "proven", "proven yesterday", "great 2026-11-22T11:00:00Z"} {
		if got := parse(map[string]string{key: v}).Outcome; got.Kind != "" {
			t.Errorf("Outcome of %q = %+v, want none", v, got)
		}
	}
	long := KeysOf(strings.Repeat("c", 200), strings.Repeat("s", 200)).Run
	if len(long) > 128 || long == KeysOf(strings.Repeat("c", 200), strings.Repeat("s", 199)+"t").Run {
		t.Errorf("long key %q: %d characters, must be at most 128 and differ by service", long, len(long))
	}
	if got := Value("jo <jo@example.com>, " + strings.Repeat("x", 300)); len(got) > 256 || strings.ContainsAny(got, "<>,") {
		t.Errorf("Value = %q", got)
	}
}

// A tag is written by the clock of a laptop, in whole seconds: it must not seem to
// prove a revision from before its own deployment began.
func TestATagIsNoProofFromBeforeItsOwnDeployment(t *testing.T) {
	for _, behind := range []time.Duration{time.Second, 20 * time.Minute} {
		l := ledger(attempt{revision: 27, status: ok}, attempt{revision: 38, status: ok})
		began := l.Attempts[0].Created
		l.Tags[arn(38)] = parse(map[string]string{keys.Outcome: OutcomeValue(Outcome{Kind: Proven, At: began.Add(-behind)})})
		if got, _ := l.Automatic(types.Service{}, began); revision(got) != "27" {
			t.Errorf("with a clock %s behind: Automatic = %s, want 27, which was proven before 38 was deployed", behind, revision(got))
		}
	}
}
