package release_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// withCheck is the incident with a container health check.
var withCheck = strings.Replace(incident, "memory: 64,", `memory: 64, healthCheck: {command: [CMD, /ok], interval: 10},`, 1)

// TestReleaseUnderEveryFaultOfTheSandbox holds docs/failure-codes.md against whatever
// the sandbox can be asked to do wrong.
func TestReleaseUnderEveryFaultOfTheSandbox(t *testing.T) {
	t.Parallel()
	impatient := func(s *release.Settings) { s.Timeout = 2 * time.Second }
	for _, c := range []struct {
		name    string
		fault   string
		seed    string // default: incident
		change  func(*release.Settings)
		exit    int
		outcome event.Outcome
		code    event.Code
		serving string
		reason  string // of the failure, or the code of what it has in also
	}{
		{"AWS has a fault of its own", `{"when":"DescribeServices","error":"ServerException"}`, "", nil, 4, event.Refused, "AWS_UNAVAILABLE", "", ""},
		{"a portal answers in preflight", `{"when":"DescribeServices","garbage":true}`, "", nil, 1, event.FailedRun, "INTERNAL", "", ""},
		{"a portal answers while it watches", `{"when":"DescribeTasks","garbage":true,"times":3}`, "", nil, 0, event.Released, "", "38", ""},
		{"the answer of UpdateService is cut off", `{"when":"UpdateService","cut":"middle"}`, "", nil, 0, event.Released, "", "38", ""},
		{"the connection is cut before RegisterTaskDefinition", `{"when":"RegisterTaskDefinition","cut":"before","times":1}`, "", nil, 0, event.Released, "", "38", ""},
		{"the clock is far ahead", `{"clock":"20m"}`, "", nil, 0, event.Released, "", "38", ""}, // the SDK follows it

		{"a signal after a while", `{"task":"backend:38","signal":"SIGSEGV","delay":"300ms"}`, "", nil, 3, event.RolledBack, "EXIT_139_SIGSEGV", "27", ""},
		{"one task dies", `{"task":"backend:38","exit":1,"times":1}`, "", nil, 0, event.Released, "", "38", ""},
		{"out of memory", `{"task":"backend:38","oom":true}`, "", nil, 3, event.RolledBack, "OUT_OF_MEMORY", "27", "OutOfMemoryError"},
		{"health fails", `{"task":"backend:38","health":"failing"}`, withCheck, nil, 3, event.RolledBack, "UNHEALTHY_CONTAINER", "27", ""},
		{"health is slow", `{"task":"backend:38","health":"slow","delay":"1s"}`, withCheck, nil, 0, event.Released, "", "38", ""},

		{"no such image", `{"pull":"not-found"}`, "", nil, 3, event.RolledBack, "CANNOT_PULL_NOT_FOUND", "27", "not found"},
		{"the rate limit, once", `{"pull":"rate-limit","times":1}`, "", nil, 0, event.Released, "", "38", ""},
		{"the rate limit, for ever", `{"pull":"rate-limit"}`, "", impatient, 3, event.RolledBack, "TIMEOUT", "27", "toomanyrequests"},
		{"no capacity for a while", `{"task":"backend","capacity":1,"lasts":"500ms"}`, "", nil, 0, event.Released, "", "38", ""},
		{"no capacity", `{"task":"backend","capacity":1}`, "", impatient, 3, event.RolledBack, "TIMEOUT", "27", "PLACEMENT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.seed == "" {
				c.seed = incident
			}
			w := newWorld(t, c.seed, map[string]scripted.Script{"backend:38": {Lines: []scripted.Line{{Text: "starting"}}}})
			w.fault(c.fault)
			s := w.settings("good")
			if c.change != nil {
				c.change(&s)
			}
			res := w.release(s)
			w.want(res, c.exit, c.outcome, c.code, c.serving)
			if c.reason != "" && !tells(res.Failure, c.reason) {
				t.Errorf("the failure does not tell %q: %+v", c.reason, res.Failure)
			}
		})
	}
}

// tells says whether a failure has the text in its reason, or the code in also.
func tells(f *event.Failure, what string) bool {
	return f != nil && (strings.Contains(f.Reason, what) ||
		slices.ContainsFunc(f.Also, func(a *event.Failure) bool { return string(a.Code) == what }))
}

// TestEveryPullThatFailsInTheSandboxHasItsCode reads the sandbox's texts as those of
// a task that stopped.
func TestEveryPullThatFailsInTheSandboxHasItsCode(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]event.Code{
		"rate-limit": "CANNOT_PULL_RATE_LIMIT", "timeout": "CANNOT_PULL_NETWORK", "connection": "CANNOT_PULL_NETWORK",
		"unavailable": "CANNOT_PULL_NETWORK", "no-space": "CANNOT_PULL_DISK",
	} {
		faults := fault.NewSet(nil, nil, nil)
		if _, err := faults.Add(fault.Rule{Pull: kind}); err != nil {
			t.Fatal(err)
		}
		_, text := faults.TaskPull("app", "registry/app@sha256:1")
		f := health.Classify(health.Facts{Task: types.Task{StopCode: types.TaskStopCodeTaskFailedToStart, StoppedReason: aws.String("CannotPullContainerError: " + text)}})
		if f.Code != want {
			t.Errorf("%s (%s) is %s, want %s", kind, text, f.Code, want)
		}
	}
}
