package output

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

// failed is a result that ends with a failure.
func failed(o event.Outcome, exit int, f *event.Failure) event.Result {
	return event.Result{
		Outcome: o, ExitCode: exit, Command: "release", Cluster: "weelocluster", Service: "backend", Stages: []event.StageOutcome{}, Failure: f,
		ServingNow: "weelobackendtask:27 serves, 1/1 running",
	}
}

func results() map[string]event.Result {
	after := func(r event.Result) event.Result { r.TaskDefinition = arn38; return r }
	unchanged, planned, changes, byHand := released(), released(), released(), released()
	unchanged.Outcome, unchanged.Next = event.Unchanged, nil
	planned.Outcome, planned.Next, planned.TaskDefinition = event.Planned, nil, ""
	changes.Outcome, changes.ExitCode, changes.Next, changes.TaskDefinition = event.Planned, event.ExitPlanChanges, []string{"weelo-deploy release"}, ""
	byHand.Outcome, byHand.Command, byHand.TaskDefinition, byHand.ServingNow = event.RolledBack, "rollback", arn27, "weelobackendtask:27 serves, 1/1 running"
	byHand.Next = []string{"weelo-deploy rollback 38"}
	unknown := after(failed(event.FailedRun, event.ExitUnhealthy, event.Fail(event.CodeInternal, "the deployment can no longer be watched").Try("weelo-deploy watch", "weelo-deploy rollback")))
	unknown.ServingNow, unknown.Serving = "", ""
	two := event.Fail(event.CodeNotFound, "there is no service backend in cluster weelocluster").Hint(`did you mean "backend-v2"?`)
	two.Also = []*event.Failure{event.Fail(event.CodeNoEngine, "the Docker engine at unix:///var/run/docker.sock does not answer").Because(errors.New("connection refused")).Hint("start it").Try("docker version")}
	return map[string]event.Result{
		"released": released(), "unchanged": unchanged, "planned": planned, "planned-changes": changes,
		"rolled-back": after(rolledBack()), "rolled-back-by-hand": byHand,
		"refused-usage": failed(event.Refused, event.ExitUsage, event.Fail(event.CodeConfig, `weelo-deploy.yaml:3:1: unknown key "clustr"`).
			See("3 | clustr: a", "  | ^^^^^^").Hint(`did you mean "cluster"?`)),
		"refused": failed(event.Refused, event.ExitRefused, two),
		"refused-build": failed(event.Refused, event.ExitRefused, &event.Failure{
			Code: event.CodeBuildFailed, Message: "build step [4/5] RUN npm ci failed: exit code 1", Logs: []string{"npm ERR! code E401", "npm ERR! unauthorized"},
		}),
		"stopped":           failed(event.Stopped, event.ExitStopped, event.Fail("EXIT_1", "the before-task npx prisma migrate deploy exited with 1").Try("weelo-deploy history")),
		"failed-internal":   failed(event.FailedRun, event.ExitInternal, event.Fail(event.CodeInternal, "read the service").Because(errors.New("unexpected EOF"))),
		"failed-unhealthy":  unknown,
		"superseded":        after(failed(event.Superseded, event.ExitSuperseded, event.Fail(event.CodeSuperseded, "weelobackendtask:39 was deployed by somebody else").See("deployment ecs-svc/77 is PRIMARY since 09:15:02").Try("weelo-deploy status"))),
		"interrupted":       after(failed(event.InterruptedO, event.ExitInterrupt, event.Fail(event.CodeInterrupted, "interrupt in stage watch").See("the deployment goes on").Try("weelo-deploy watch", "weelo-deploy rollback"))),
		"terminated":        after(failed(event.InterruptedO, event.ExitTerminate, event.Fail(event.CodeInterrupted, "terminated in stage watch").See("the deployment was rolled back by one call").Try("weelo-deploy status"))),
		"watched":           {Outcome: event.Watched, Command: "watch", ServingNow: "weelobackendtask:27 serves, 1/1 running"},
		"verified":          {Outcome: event.Verified, Command: "verify", Image: "weelo-backend:local"},
		"without-a-failure": failed(event.FailedRun, event.ExitInternal, nil),
	}
}

func TestReport_everyOutcome(t *testing.T) {
	for name, r := range results() {
		t.Run(name, func(t *testing.T) {
			golden(t, "report-"+name, draw(t, Plain, nil, step{0, "", r}).both())
		})
	}
}

func TestReport_interruptedAndRolledBack(t *testing.T) {
	r := failed(event.RolledBack, event.ExitRolledBack, event.Fail(event.CodeInterrupted, "interrupt in stage watch"))
	got := draw(t, Plain, nil, step{0, "", r}).stderr.String()
	if want := "error: release on backend was interrupted and rolled back (exit 3)\n"; !strings.HasPrefix(got, want) {
		t.Errorf("report = %s, want it to begin with %q", got, want)
	}
}

func TestReport_servingNowIsSaidOnce(t *testing.T) {
	r := failed(event.Refused, event.ExitRefused, event.Fail(event.CodeDeploymentInProgress, "a deployment is in progress"))
	r.Failure.See(r.ServingNow, "since 09:15")
	got := draw(t, Plain, nil, step{0, "", r}).stderr.String()
	want := "error: a deployment is in progress [" + string(event.CodeDeploymentInProgress) + "]\n    since 09:15\nproduction was not touched: " + r.ServingNow + "\n"
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("report (-want +got):\n%s", d)
	}
}

func TestReport_answer(t *testing.T) {
	want := map[string]string{"released": arn38, "unchanged": arn38, "rolled-back-by-hand": arn27}
	for name, r := range results() {
		for _, mode := range []Mode{Plain, TTY, GitHub} {
			t.Run(name+" in "+string(mode), func(t *testing.T) {
				line := want[name]
				if line != "" {
					line += "\n"
				}
				if got := draw(t, mode, nil, step{0, "", r}).stdout.String(); got != line {
					t.Errorf("stdout = %q, want %q", got, line)
				}
			})
		}
	}
}

func TestReport_logOfTheFailedStep(t *testing.T) {
	steps := []step{
		{0, "build", event.Build{Step: "RUN a", Line: "of another step"}},
		{1, "build", event.Build{Step: "RUN b", Status: event.Started}},
	}
	for i := range 30 {
		steps = append(steps, step{2, "build", event.Build{Step: "RUN b", Line: fmt.Sprintf("line %d", i)}})
	}
	steps = append(steps,
		step{3, "build", event.Build{Step: "RUN b", Status: event.Failed, Error: "exit code 1"}},
		step{3, "", failed(event.Refused, event.ExitRefused, event.Fail(event.CodeBuildFailed, "build failed"))})
	got := draw(t, Plain, nil, steps...).stderr.String()
	for _, line := range []string{"| line 10\n", "| line 29\n"} {
		if strings.Count(got, line) != 1 {
			t.Errorf("the output shows %q %d times, want once:\n%s", line, strings.Count(got, line), got)
		}
	}
	for _, line := range []string{"of another step", "line 9\n"} {
		if strings.Contains(got, line) {
			t.Errorf("the output shows %q:\n%s", line, got)
		}
	}
}

func TestReport_aRehearsalThatFailedNamesNoCommandForTheRealService(t *testing.T) {
	res := failed(event.FailedRun, event.ExitUnhealthy, event.Fail(event.CodeCannotStart, "a container exited with 1"))
	if got := draw(t, Plain, nil, step{0, "", res}).stderr.String(); !strings.Contains(got, "next: weelo-deploy status\n") {
		t.Errorf("a release names no command:\n%s", got)
	}
	res.Rehearsal = true
	if got := draw(t, Plain, nil, step{0, "", res}).stderr.String(); strings.Contains(got, "next:") {
		t.Errorf("a rehearsal names a command:\n%s", got)
	}
}

func TestWriteError(t *testing.T) {
	var b bytes.Buffer
	err := errors.Join(
		event.Fail(event.CodeConfig, "read configuration x.yaml").Because(fs.ErrNotExist).Hint("a hint"),
		fmt.Errorf("list tasks: %w", errors.New("dial https://u:hunter2@x\nrefused")))
	WriteError(&b, nil, err)
	want := "error: read configuration x.yaml: file does not exist [CONFIG]\n  hint: a hint\nerror: list tasks: dial https://***@x ⏎ refused [INTERNAL]\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("WriteError (-want +got):\n%s", d)
	}
}
