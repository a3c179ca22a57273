package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/background"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// runs lets this process be a sandbox in the background.
func (d *desk) runs(r background.Record) {
	d.t.Helper()
	d.t.Setenv("XDG_CACHE_HOME", filepath.Join(d.t.TempDir(), "cache"))
	home, err := background.DefaultHome()
	if err != nil {
		d.t.Fatal(err)
	}
	p, err := home.Take(d.t.Context(), r.Name)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		if err := p.Leave(true); err != nil {
			d.t.Error(err)
		}
	})
	r.PID, r.Started, r.URL = os.Getpid(), time.Now(), d.server.URL()
	if err := p.Write(r); err != nil {
		d.t.Fatal(err)
	}
}

func TestSandboxUpAndStatus_warnOfASandboxThatOtherMachinesReach(t *testing.T) {
	d := sit(t, deskSeed)
	d.runs(background.Record{Name: "default", Account: "318774499084", Region: "ap-south-1", Speed: 20, Open: "0.0.0.0:4711", Notes: []string{"a note of its start"}})
	_, stderr, code := d.run("sandbox", "up")
	if code != 0 || strings.Contains(stderr, "a note") {
		t.Errorf("up ends with %d and says %s", code, stderr)
	}
	wants(t, "up", stderr, "WARNING: other machines can reach it on 0.0.0.0:4711;", "runs already")
	_, stderr, _ = d.run("sandbox", "status")
	wants(t, "status", stderr, "sandbox default: WARNING: other machines can reach it on 0.0.0.0:4711")
	out, _, _ := d.run("sandbox", "status", "--json")
	wants(t, "status --json", out, `"open":"0.0.0.0:4711"`)
}

func TestSandboxUp_refusesFlagsThatTheOneThatRunsDoesNotHave(t *testing.T) {
	d := sit(t, deskSeed)
	here, err := filepath.Abs("kept")
	if err != nil {
		t.Fatal(err)
	}
	d.runs(background.Record{Name: "second", Account: "318774499084", Region: "ap-south-1", Speed: 20, Folder: here})
	for _, same := range [][]string{nil, {"--account", "318774499084", "--region", "ap-south-1", "--speed", "20", "--state", "kept"}} {
		if _, stderr, code := d.run(append([]string{"sandbox", "up", "--name", "second"}, same...)...); code != 0 {
			t.Errorf("up %q ends with %d and says %s", same, code, stderr)
		}
	}
	_, stderr, code := d.run("sandbox", "up", "--name", "second", "--account", "000000000000", "--region", "us-east-1", "--speed", "1", "--state", "other")
	if code != 2 {
		t.Errorf("up with other flags ends with %d", code)
	}
	wants(t, "up", stderr, "[USAGE]", "--account 000000000000 (it has 318774499084)", "--region us-east-1", "--speed 1 (it has 20)", "--state ", "weelo-deploy sandbox down --name second")
}

func TestStartSandbox_tellsMistakesAsTheUsers(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  sandbox.Config
		want []string
	}{
		"an account":     {sandbox.Config{Account: "12"}, []string{"USAGE", `account "12" is not 12 digits`}},
		"a region":       {sandbox.Config{Region: "moon"}, []string{"USAGE", `"moon" is no name of a region`}},
		"an address":     {sandbox.Config{Listen: "192.0.2.1:0", UnsafeListen: true}, []string{"USAGE", "cannot listen on 192.0.2.1:0"}},
		"a state":        {sandbox.Config{State: "sandbox_up_test.go"}, []string{"USAGE", "a folder that can be written: sandbox_up_test.go"}},
		"rules of a set": {sandbox.Config{Faults: []seed.JSON{{Raw: []byte(`{"pul":"x"}`), Line: 3}, {Raw: []byte(`{"task":"web"}`), Line: 5}}}, []string{"CONFIG", `faults.yaml:3: there is no member "pul"`, "faults.yaml:5: "}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := test.cfg
			cfg.Runtime = scripted.New()
			if cfg.Listen == "" {
				cfg.Listen = "127.0.0.1:0"
			}
			s, err := sandbox.Start(t.Context(), cfg)
			if err == nil {
				t.Fatal(s.Close(), "it starts")
			}
			f := &sandboxFlags{state: cfg.State, listen: cfg.Listen, faults: "faults.yaml"}
			err = f.failure(err, "weelo-deploy sandbox")
			var first *event.Failure
			if !errors.As(err, &first) || len(first.Hints) == 0 || strings.Contains(err.Error(), "start sandbox") {
				t.Fatalf("the failure is %v, want one with a hint", err)
			}
			wants(t, "the failure", string(first.Code)+" "+err.Error(), test.want...)
		})
	}
}

func TestSandboxFlags_noteWhatIsNotAsTheyLetOneExpect(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	f := sandboxFlags{state: state, seed: "seed.yaml"}
	for _, want := range []string{"", "goes on from the state in " + state + "\nthe state in " + state + " is not empty: the seed was not planted"} {
		s, err := sandbox.Start(t.Context(), sandbox.Config{Listen: "0.0.0.0:0", UnsafeListen: true, Runtime: scripted.New(), State: state})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(f.notes(s), "\n"); got != want {
			t.Errorf("notes are %q, want %q", got, want)
		}
		if port := s.URL()[strings.LastIndex(s.URL(), ":"):]; s.Open() != "0.0.0.0"+port {
			t.Errorf("Open = %q, want the address it listens on, port %s", s.Open(), port)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
