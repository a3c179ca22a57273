package main

import (
	"os"
	"strings"
	"testing"
)

// wrongElsewhere has mistakes in everything that going back does not need.
const wrongElsewhere = actionConfig + `verify: {trial: {env: {A: "${NOT_SET}"}}}
checks: {http: [{name: a, url: "https://x.example/", headers: {K: "${NOT_SET}"}}]}
notify: [{url: "${NOT_SET}"}]
`

func TestVariableThatIsNotSetKeepsNobodyFromGoingBack(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	r.write(t, "weelo-deploy.yaml", wrongElsewhere)
	const told = "warning: the configuration has mistakes in parts that"
	for _, command := range [][]string{{"rollback", "27"}, {"status"}, {"history"}, {"logs", "--since", "1m"}, {"watch"}} {
		stdout, stderr, code := r.tool(t, append(command, "--output", "plain")...)
		if code != 0 || !strings.Contains(stderr, told+" "+command[0]+" can do without, and they are left out (verify, checks, notify): weelo-deploy.yaml:") {
			t.Errorf("%v: exit %d, want 0 and a warning:\n%s%s", command, code, stdout, stderr)
		}
	}
	for _, command := range []string{"release", "plan", "build", "doctor"} {
		if _, stderr, code := r.tool(t, command, "--output", "plain"); code != 2 || strings.Contains(stderr, told) || !strings.Contains(stderr, "NOT_SET is not set") {
			t.Errorf("%s: exit %d, want 2:\n%s", command, code, stderr)
		}
	}
	if stdout, stderr, code := r.tool(t, "status", "--json"); code != 0 || !strings.HasPrefix(stdout, "{") || strings.Contains(stdout, told) || !strings.Contains(stderr, told) {
		t.Errorf("status --json: exit %d, %s%s", code, stdout, stderr)
	}
}

func TestAccountGuardsAWayBackBesideMistakes(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	r.write(t, "weelo-deploy.yaml", strings.Replace(wrongElsewhere, "cluster:", "account: \"111111111111\"\ncluster:", 1))
	if _, stderr, code := r.tool(t, "rollback", "--output", "plain"); code != 4 || !strings.Contains(stderr, "WRONG_ACCOUNT") {
		t.Errorf("exit %d, want 4:\n%s", code, stderr)
	}
}

func TestFileThatCannotBeReadIsNeverIgnoredUnasked(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	where := []string{"--region", "ap-south-1", "--cluster", "weelocluster", "--service", "backend", "--output", "plain"}
	for name, text := range map[string]string{"no YAML": "cluster: {\n", "an unknown key": actionConfig + "acount: \"111111111111\"\n"} {
		r.write(t, "weelo-deploy.yaml", text)
		_, stderr, code := r.tool(t, append([]string{"rollback", "27"}, where...)...)
		if code != 2 || !strings.Contains(stderr, "to do without the file, and without the account that it names: weelo-deploy rollback --config "+os.DevNull) {
			t.Errorf("%s: exit %d, want 2 and how to go on:\n%s", name, code, stderr)
		}
		if _, stderr, code := r.tool(t, append([]string{"rollback", "27", "--config", os.DevNull}, where...)...); code != 0 {
			t.Errorf("%s: without the file exit %d:\n%s", name, code, stderr)
		}
	}
}

func TestVariableThatIsWrongIsNotBlamedOnTheFile(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	r.write(t, "weelo-deploy.yaml", actionConfig)
	r.env = append(r.env, "WEELO_DEPLOY_CLUSTR=staging")
	_, stderr, code := r.tool(t, "status", "--output", "plain")
	if code != 2 || !strings.Contains(stderr, "to do without it: unset WEELO_DEPLOY_CLUSTR") || strings.Contains(stderr, os.DevNull) {
		t.Errorf("exit %d, want 2 and the variable to unset:\n%s", code, stderr)
	}
}
