package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// pausedSeed is a service whose deployment waits at a pause hook.
var pausedSeed = strings.NewReplacer(
	"desiredCount: 1, deployments:", "desiredCount: 1, settings: {deploymentConfiguration: {lifecycleHooks: [{targetType: PAUSE, lifecycleStages: [PRE_SCALE_UP]}]}}, deployments:",
	"digests: {app: v1}}]", "digests: {app: v1}}, {revision: 27, outcome: IN_PROGRESS, createdAt: -1m}]",
).Replace(deskSeed)

func TestStatus_tellsHowToContinueAPausedDeployment(t *testing.T) {
	d := sit(t, pausedSeed)
	args := []string{"status", "--cluster", "weelocluster", "--service", "backend", "--region", "ap-south-1"}
	var out struct {
		Hooks []struct{ ID, Type, Stage, Status, TimeoutAction, Continue string }
	}
	stdout, stderr, code := d.run(append(args, "--json")...)
	if err := json.Unmarshal([]byte(stdout), &out); err != nil || code != 0 || len(out.Hooks) != 1 {
		t.Fatalf("status --json: exit %d, %v, %s%s", code, err, stdout, stderr)
	}
	h := out.Hooks[0]
	if h.Type != "PAUSE" || h.Stage != "PRE_SCALE_UP" || h.Status != "AWAITING_ACTION" || h.TimeoutAction != "ROLLBACK" {
		t.Errorf("the hook is %+v", h)
	}
	wants(t, "the command", h.Continue, "aws ecs continue-service-deployment --service-deployment-arn arn:aws:ecs:ap-south-1:", "--hook-id "+h.ID, "--region ap-south-1 --action CONTINUE")
	for _, terminal := range []bool{false, true} {
		d.app.stdoutTerminal = terminal
		stdout, _, _ = d.run(args...)
		wants(t, "status", stdout, h.ID, "PRE_SCALE_UP", h.Continue)
	}
}

func TestStatus_withoutHooksTellsOfNone(t *testing.T) {
	d := sit(t, deskSeed)
	stdout, _, code := d.run("status", "--cluster", "weelocluster", "--service", "backend", "--region", "ap-south-1", "--json")
	if code != 0 || !strings.Contains(stdout, `"hooks":[]`) {
		t.Errorf("status --json: exit %d, %s", code, stdout)
	}
}
