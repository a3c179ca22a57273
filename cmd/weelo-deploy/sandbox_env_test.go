package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/background"
	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
	"github.com/weelo/weelo-deploy/internal/sandbox/shellenv"
)

func TestShellInUse_isWhatStartedUsAndElseTheUsersOwn(t *testing.T) {
	for _, test := range []struct {
		goos, parent, login string
		want                shellenv.Shell
	}{
		{"linux", "/usr/bin/dash", "/usr/bin/fish", shellenv.POSIX}, {"linux", "/usr/bin/fish", "/bin/bash", shellenv.Fish},
		{"linux", "/usr/bin/make", "/usr/bin/fish", shellenv.Fish}, {"linux", "", "", shellenv.POSIX}, {"linux", "/usr/bin/pwsh", "/bin/bash", shellenv.PowerShell},
		{"darwin", "-zsh", "/bin/zsh", shellenv.POSIX}, {"windows", "", "", shellenv.PowerShell}, {"windows", "", "/usr/bin/bash", shellenv.POSIX},
	} {
		if got := shellInUse(test.goos, test.parent, test.login); got != test.want {
			t.Errorf("shellInUse(%q, %q, %q) is %s, want %s", test.goos, test.parent, test.login, got, test.want)
		}
	}
}

func TestServeArguments_carryWhatUpWasTold(t *testing.T) {
	t.Chdir(t.TempDir())
	seed, err := filepath.Abs("s.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{getenv: func(string) string { return "" }}
	a.flags.region, a.flags.json = "ap-south-1", true
	got, err := a.serveArguments(&upFlags{name: "two", sandboxFlags: sandboxFlags{listen: "127.0.0.1:0", account: "318774499084", speed: 12.5, throttle: true, seed: "s.yaml", faults: seed}})
	if err != nil {
		t.Fatal(err)
	}
	want := "sandbox serve --name two --listen 127.0.0.1:0 --account 318774499084 --region ap-south-1 --speed 12.5 --throttle --seed " + seed + " --faults " + seed + " --output json"
	if d := cmp.Diff(want, strings.Join(got, " ")); d != "" {
		t.Error(d)
	}
}

func TestSandboxStatus_tellsTheSilentFromTheRunning(t *testing.T) {
	d := sit(t, deskSeed)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	home, err := background.DefaultHome()
	if err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{"good": d.server.URL(), "mute": "http://127.0.0.1:1"} {
		place, err := home.Take(t.Context(), name)
		if err == nil {
			err = place.Write(background.Record{PID: 1, URL: url, Region: sandbox.DefaultRegion, Env: []string{"A=b"}})
		}
		if err != nil {
			t.Fatal(err)
		}
		defer place.Leave(true)
	}
	lb, err := d.server.Balancer().CreateLoadBalancer(balancer.LoadBalancer{Name: "web"})
	if err == nil {
		_, err = d.server.Balancer().CreateListener(balancer.Listener{LoadBalancer: lb.ARN, Protocol: "HTTP", Port: 80, Default: []balancer.Action{{Type: balancer.FixedResponse, Status: "200"}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	out, stderr, code := d.run("sandbox", "status")
	if want := "sandbox good: load balancer web listens for HTTP port 80 at 127.0.0.1:"; !strings.Contains(stderr, want) {
		t.Errorf("status says %q, want %q", stderr, want)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 2 || !strings.HasPrefix(lines[0], "good\trunning\t"+d.server.URL()) || !strings.HasPrefix(lines[1], "mute\tsilent\t") {
		t.Errorf("status ends with %d and prints\n%s", code, out)
	}
	if out, _, code := d.run("sandbox", "env", "--name", "good", "--shell", "fish"); code != 0 || !strings.HasSuffix(out, "set -gx A 'b'\n") {
		t.Errorf("env ends with %d and prints %q", code, out)
	}
	if got := strings.Join(d.completed("sandbox", "down", "--name", ""), " "); got != "good mute" {
		t.Errorf("--name is completed with %q", got)
	}
	for want, args := range map[string][]string{
		"sh, bash, zsh, fish or powershell": {"env", "--shell", "cmd"}, "small letters, digits": {"down", "--name", "A"},
		"wants a command": {"exec"}, "the command cannot be run": {"exec", "--name", "good", "no-such-program"},
	} {
		if _, stderr, code := d.run(append([]string{"sandbox"}, args...)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("sandbox %q ends with %d and says %q, want %q", args, code, stderr, want)
		}
	}
}
