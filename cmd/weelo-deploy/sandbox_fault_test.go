package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/sandbox/background"
)

func TestSandboxFault_addsListsAndTakesBack(t *testing.T) {
	d := sit(t, deskSeed)
	t.Setenv("AWS_ENDPOINT_URL", d.server.URL())
	if out, _, code := d.run("sandbox", "fault", `[{"when":"ListClusters","error":"X"},{"task":"web","exit":139}]`); code != 0 || out != "1 2\n" {
		t.Fatalf("fault ends with %d and prints %q", code, out)
	}
	if out, _, code := d.run("sandbox", "fault", "--list"); code != 0 ||
		out != "1\t0\t\t{\"when\":\"ListClusters\",\"error\":\"X\"}\n2\t0\t\t{\"task\":\"web\",\"exit\":139}\n" {
		t.Errorf("--list ends with %d and prints %q", code, out)
	}
	if _, _, code := d.run("sandbox", "fault", "--remove", "1"); code != 0 {
		t.Errorf("--remove 1 ends with %d", code)
	}
	if _, stderr, code := d.run("sandbox", "fault", "--remove", "1"); code != 2 || !strings.Contains(stderr, `there is no fault "1"`) {
		t.Errorf("the second --remove 1 ends with %d and says %s", code, stderr)
	}
	if _, _, code := d.run("sandbox", "fault", "--remove", "all"); code != 0 {
		t.Errorf("--remove all ends with %d", code)
	}
	if out, _, _ := d.run("sandbox", "fault", "--list"); out != "" {
		t.Errorf("--list prints %q after all were taken back", out)
	}
	for _, wrong := range [][]string{{}, {"--list", "{}"}, {"--list", "--remove", "1"}, {`{"task":"web"}`}} {
		if _, stderr, code := d.run(append([]string{"sandbox", "fault"}, wrong...)...); code != 2 {
			t.Errorf("fault %q ends with %d and says %s", wrong, code, stderr)
		}
	}
}

func TestSandboxFault_findsTheSandboxByItsName(t *testing.T) {
	d := sit(t, deskSeed)
	d.runs(background.Record{Name: "default"})
	for _, endpoint := range []string{"", "https://ecs.example.com"} {
		t.Setenv("AWS_ENDPOINT_URL", endpoint)
		if _, stderr, code := d.run("sandbox", "fault", "--name", "default", "--list"); code != 0 {
			t.Errorf("fault --name with the endpoint %q ends with %d and says %s", endpoint, code, stderr)
		}
		_, stderr, code := d.run("sandbox", "fault", "--list")
		if endpoint == "" && code != 0 {
			t.Errorf("fault without an endpoint ends with %d and says %s", code, stderr)
		}
		if endpoint != "" {
			wants(t, "fault", stderr, "sandbox fault --name NAME", "sandbox exec")
		}
	}
	if _, stderr, code := d.run("sandbox", "fault", "--name", "other", "--list"); code == 0 || !strings.Contains(stderr, "no sandbox other runs") {
		t.Errorf("fault --name other ends with %d and says %s", code, stderr)
	}
}

// postFault adds a rule to the sandbox at an address.
func postFault(ctx context.Context, url, rule string) error {
	return faultControl{url}.do(ctx, http.MethodPost, "", rule, nil)
}
