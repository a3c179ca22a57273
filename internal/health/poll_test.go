package health

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestWatch_sentinelAsksEverySecond(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.start("new1", "ecs-svc/2", 38) })
		f.serve(4 * time.Minute)
		watch(f, Policy{})
		var last time.Duration
		for _, c := range f.calls {
			if c.op != "ListTasks STOPPED" {
				continue
			}
			if gap := c.at - last; c.at < 2*time.Minute && gap > time.Second || gap > 2*time.Second {
				t.Errorf("%s between two looks at %s", gap, c.at)
			}
			last = c.at
		}
	})
}

func TestWatch_slowCallsDoNotDelayTheSentinel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.hangs = func(op string, n int) bool { return op == "DescribeServices" && n > 1 }
		f.at(8*time.Second, func() { f.crash("new1", 139) })
		got := watch(f, Policy{})
		got.want(t, Failing, "EXIT_139_SIGSEGV")
		if late := got.DetectedAt.Sub(f.began); late > 9*time.Second {
			t.Errorf("detected at %s, want 9s at the latest", late)
		}
		if got.took > 10*time.Second {
			t.Errorf("it took %s", got.took)
		}
	})
}

func TestWatch_throttling(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.fault = func(op string, n int, at time.Duration) error {
			if at > 10*time.Second && at < 90*time.Second {
				return apiError("ThrottlingException")
			}
			return nil
		}
		f.serve(3 * time.Minute)
		f.at(200*time.Second, func() { f.crash("bad1", 139) })
		got := watch(f, Policy{Bake: 2 * time.Minute})
		got.want(t, Failing, "EXIT_139_SIGSEGV")
		before, during := 0, 0
		for _, c := range f.calls {
			switch {
			case c.at < 10*time.Second:
				before++
			case c.at > 40*time.Second && c.at < 90*time.Second:
				during++
			}
		}
		if during*3 > before*5 { // per second: before/10, during/50
			t.Errorf("%d calls in 10s before, %d in 50s while AWS throttled: want much fewer", before, during)
		}
		said := 0
		for _, n := range of[event.Note](got.told) {
			if strings.Contains(n.Text, "AWS throttles") {
				said++
			}
		}
		if said != 1 {
			t.Errorf("it was said %d times, want once", said)
		}
	})
}

func TestWatch_anySingleCallMayFail(t *testing.T) {
	for _, op := range []string{"DescribeServices", "ListTasks STOPPED", "ListTasks RUNNING", "DescribeTasks", "ListServiceDeployments", "DescribeServiceRevisions", "DescribeServiceDeployments"} {
		for n := 1; n <= 3; n++ {
			t.Run(fmt.Sprint(op, n), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := newFake()
					f.fault = func(o string, k int, _ time.Duration) error {
						if o == op && k == n {
							return apiError("ServerException")
						}
						return nil
					}
					f.serve(40 * time.Second)
					f.at(55*time.Second, func() { f.exit("new1", 139) })
					got := watch(f, Policy{Bake: 30 * time.Second})
					got.want(t, Failing, "EXIT_139_SIGSEGV")
					for _, n := range of[event.Note](got.told) {
						if n.Level != event.Info { // that the bake begins is told, the failed call is not
							t.Errorf("one failed call was told: %v", n)
						}
					}
				})
			})
		}
	}
}

func TestWatch_deniedCalls(t *testing.T) {
	for op, permission := range map[string]string{"ListTasks": "ecs:ListTasks", "DescribeTasks": "ecs:DescribeTasks", "ListServiceDeployments": "ecs:ListServiceDeployments"} {
		t.Run(op, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.fault = func(o string, _ int, _ time.Duration) error {
					if strings.HasPrefix(o, op) {
						return apiError("AccessDeniedException")
					}
					return nil
				}
				f.serve(40 * time.Second)
				got := watch(f, Policy{Bake: 20 * time.Second}, func(_ *Watcher, s *Subject) { s.Definition = fakeDefinition{"awslogs", true} })
				if op == "ListServiceDeployments" {
					f.healthy("new1")
				}
				if got.err != nil || (got.Outcome != Serving && op != "ListServiceDeployments") {
					t.Errorf("Watch() = %s (%v), %v", got.Outcome, got.Failure, got.err)
				}
				told := 0
				for _, n := range of[event.Note](got.told) {
					if strings.Contains(n.Text, permission) {
						told++
					}
				}
				if told == 0 || told > 2 { // stopped and running tasks are listed apart
					t.Errorf("notes = %+v, want the missing permission told once", of[event.Note](got.told))
				}
			})
		})
	}
}

// Events name the tasks that were started: enough to see one die.
func TestWatch_followsTasksNamedByEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.fault = func(op string, _ int, _ time.Duration) error {
			if strings.HasPrefix(op, "ListTasks") {
				return apiError("AccessDeniedException")
			}
			return nil
		}
		const id = "0123456789abcdef0123456789abcdef"
		f.at(6*time.Second, func() {
			f.start(id, "ecs-svc/2", 38)
			f.say("(service backend) has started 1 tasks: (task " + id + ").")
		})
		f.at(20*time.Second, func() { f.up(id) })
		f.at(22*time.Second, func() { f.exit(id, 139) })
		got := watch(f, Policy{})
		got.want(t, Failing, "EXIT_139_SIGSEGV")
		if got.took > 35*time.Second {
			t.Errorf("it took %s", got.took)
		}
	})
}

func TestWatch_lostForGood(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		code event.Code
		says []string
	}{
		{"expired", apiError("ExpiredTokenException"), event.CodeCredentials, []string{"ExpiredTokenException: because", "was PRIMARY, in_progress, 1/1 running; it goes on in ECS", "weelo-deploy watch"}},
		{"cannot be refreshed", &smithy.OperationError{ServiceID: "ECS", OperationName: "x", Err: errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found")}, event.CodeCredentials, []string{"no EC2 IMDS role found", "renew the credentials"}},
		{"denied", apiError("AccessDeniedException"), event.CodeAccessDenied, []string{"ecs:DescribeServices", "it goes on in ECS"}},
		{"no network", errors.New("dial tcp: no such host"), event.CodeInternal, []string{"ECS has not answered since", "no such host"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.at(2*time.Second, func() { f.start("new1", "ecs-svc/2", 38) })
				f.at(4*time.Second, func() { f.up("new1") })
				f.fault = func(_ string, _ int, at time.Duration) error {
					if at > 20*time.Second {
						return c.err
					}
					return nil
				}
				got := watch(f, Policy{Timeout: 3 * time.Minute})
				if got.err == nil {
					t.Fatalf("Watch() = %s, want an error", got.Outcome)
				}
				fail := event.FailuresOf(got.err)[0]
				if fail.Code != c.code || got.Running != 1 {
					t.Errorf("Watch() error = %s %v, verdict %+v; want %s, and how it stood", fail.Code, got.err, got.Verdict, c.code)
				}
				says(t, fail, c.says...)
				if got.took < 40*time.Second {
					t.Errorf("it gave up after %s: too early", got.took)
				}
			})
		})
	}
}

func TestWatch_credentialsThatComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.fault = func(_ string, _ int, at time.Duration) error {
			if at > 20*time.Second && at < 40*time.Second {
				return apiError("ExpiredTokenException")
			}
			return nil
		}
		f.serve(time.Minute)
		watch(f, Policy{}).want(t, Serving, "")
	})
}

func TestWatch_eventsAreToldOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		old := types.ServiceEvent{Id: aws.String("old"), CreatedAt: aws.Time(f.now().Add(-time.Minute)), Message: aws.String("(service backend) has reached a steady state.")}
		f.events = []types.ServiceEvent{old}
		for i := range 150 {
			f.at(time.Duration(i)*time.Second/2, func() {
				f.say(fmt.Sprintf("(service backend) is unable to consistently start tasks successfully. %d", i))
			})
		}
		f.serve(80 * time.Second)
		got := watch(f, Policy{})
		got.want(t, Serving, "")
		seen := map[string]bool{}
		var last time.Time
		for _, e := range of[event.ServiceEvent](got.told) {
			if seen[e.ID] || e.ID == "old" {
				t.Errorf("event %s was told twice, or is not of this deployment", e.ID)
			}
			if seen[e.ID] = true; e.At.Before(last) {
				t.Errorf("event %s is out of order", e.ID)
			}
			last = e.At
		}
		if len(seen) < 150 {
			t.Errorf("%d events were told, want all 150", len(seen))
		}
	})
}

func TestWatch_tellsChangesOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.serve(4 * time.Minute)
		got := watch(f, Policy{})
		got.want(t, Serving, "")
		var story []string
		for _, e := range got.told.events {
			switch e := e.(type) {
			case event.Task:
				story = append(story, e.ID+" "+e.Status)
			case event.Heartbeat, event.ServiceEvent:
			case event.Deployment:
				story = append(story, fmt.Sprintf("%s %s %s %d/%d ours=%v", e.ID, e.Status, e.RolloutState, e.Running, e.Desired, e.Ours))
			default:
				t.Errorf("unexpected %T: %+v", e, e)
			}
		}
		want := []string{"ecs-svc/2 PRIMARY IN_PROGRESS 0/1 ours=true", "ecs-svc/1 ACTIVE COMPLETED 1/1 ours=false", "ecs-svc/1 INACTIVE COMPLETED 0/0 ours=false",
			"new1 PENDING", "ecs-svc/2 PRIMARY IN_PROGRESS 0/1 ours=true", "ecs-svc/2 PRIMARY IN_PROGRESS 1/1 ours=true", "new1 RUNNING",
			"ecs-svc/2 PRIMARY COMPLETED 1/1 ours=true"}
		slices.Sort(story)
		slices.Sort(want)
		if !slices.Equal(story, want) {
			t.Errorf("story =\n%s\nwant\n%s", strings.Join(story, "\n"), strings.Join(want, "\n"))
		}
		last := time.Duration(0)
		for _, at := range got.told.at {
			if at-last > 31*time.Second {
				t.Errorf("silence from %s to %s", last, at)
			}
			last = at
		}
	})
}

func TestWatch_clocksMayDiffer(t *testing.T) {
	for _, skew := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFakeAhead(skew)
				f.at(10*time.Second, func() { f.start("new1", "ecs-svc/2", 38); f.pulling("new1") })
				got := watch(f, Policy{Timeout: 3 * time.Minute})
				got.want(t, Stalled, event.CodeTimeout)
				says(t, got.Failure, "1 pending for 3m: pulling image")
				if got.took > 4*time.Minute || got.ServiceDeployment != ownSD {
					t.Errorf("it took %s; service deployment %q", got.took, got.ServiceDeployment)
				}
			})
		})
	}
}

func TestWatch_largeFleet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deployment("ecs-svc/2").DesiredCount = 250
		for i := range 300 {
			f.start(fmt.Sprintf("before%03d", i), "ecs-svc/1", 27)
			f.scaleIn(fmt.Sprintf("before%03d", i), "ecs-svc/1")
		}
		f.at(5*time.Second, func() {
			for i := range 250 {
				f.start(fmt.Sprintf("new%03d", i), "ecs-svc/2", 38)
			}
		})
		f.at(30*time.Second, func() {
			for i := range 250 {
				f.up(fmt.Sprintf("new%03d", i))
			}
		})
		f.at(60*time.Second, func() { f.exit("new123", 139) })
		got := watch(f, Policy{})
		got.want(t, Failing, "EXIT_139_SIGSEGV")
		if got.took > 63*time.Second {
			t.Errorf("it took %s", got.took)
		}
		for _, c := range f.calls {
			if c.size > 100 {
				t.Errorf("%s asked for %d at once", c.op, c.size)
			}
		}
	})
}

func TestFindDeployment_choosesOurs(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	brief := func(arn string, after time.Duration, rev string) types.ServiceDeploymentBrief {
		return types.ServiceDeploymentBrief{ServiceDeploymentArn: &arn, CreatedAt: aws.Time(at.Add(after)), TargetServiceRevisionArn: &rev}
	}
	ours := func(b types.ServiceDeploymentBrief) bool { return *b.TargetServiceRevisionArn == "ours" }
	for _, c := range []struct {
		name string
		all  []types.ServiceDeploymentBrief
		want string
	}{
		{"the first at or after", []types.ServiceDeploymentBrief{brief("c", time.Minute, "ours"), brief("b", 0, "ours"), brief("a", -time.Second, "ours")}, "b"},
		{"not one of another revision", []types.ServiceDeploymentBrief{brief("a", 0, "theirs"), brief("b", time.Second, "ours")}, "b"},
		{"a little before, when nothing is after", []types.ServiceDeploymentBrief{brief("a", -4*time.Second, "ours"), brief("b", -time.Second, "ours")}, "b"},
		{"not long before", []types.ServiceDeploymentBrief{brief("a", -time.Minute, "ours")}, ""},
		{"none", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := choose(c.all, at, ours); got != c.want {
				t.Errorf("choose() = %q, want %q", got, c.want)
			}
		})
	}
}
