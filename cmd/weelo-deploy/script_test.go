package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/output/outputtest"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/background"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

var update = flag.Bool("update", false, "rewrite the scripts' expected output")

func TestMain(m *testing.M) {
	// Tests under nohup: processes that they start must be able to hear SIGHUP.
	if filepath.Base(os.Args[0]) != "weelo-deploy" && signal.Ignored(syscall.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	testscript.Main(m, map[string]func(){"weelo-deploy": func() { os.Exit(Main()) }})
}

// TestScript runs the real binary against a real engine, a real registry and a
// sandbox whose tasks are real containers. testdata/script/README.md lists the
// commands that scripts have besides testscript's own.
func TestScript(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Fatalf("the scripts run linux/amd64 containers, this is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, UpdateScripts: *update,
		Setup: setupScript,
		Cmds: withWorld(map[string]func(*testscript.TestScript, bool, []string){
			"sandbox": cmdSandbox, "elf": cmdELF, "fault": cmdFault, "calls": cmdCalls, "await": cmdAwait,
			"deploy": cmdDeploy, "field": cmdField, "story": cmdStory, "signal": cmdSignal, "register": cmdRegister,
			"image": cmdImage, "cut": cmdCut,
		}),
		Condition: func(cond string) (bool, error) {
			if tool, ok := map[string]string{"awscli": "aws", "dockercli": "docker"}[cond]; ok {
				return have(t, tool), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// have is always true in CI, so that a script that needs a command fails there
// instead of being skipped.
func have(t *testing.T, tool string) bool {
	t.Helper()
	_, err := exec.LookPath(tool)
	return err == nil || os.Getenv("CI") != ""
}

type serverKey struct{}

func setupScript(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, ".home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	for k, v := range map[string]string{
		"HOME": home, "XDG_CACHE_HOME": filepath.Join(home, ".cache"), "DOCKER_HOST": os.Getenv("DOCKER_HOST"), "DOCKER_CONFIG": filepath.Join(home, ".docker"),
		"AWS_CONFIG_FILE": filepath.Join(home, "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home, "none"),
		"AWS_EC2_METADATA_DISABLED": "true", "CI": "", "GITHUB_ACTIONS": "", "GORACE": "atexit_sleep_ms=0",
		"GIT_CONFIG_GLOBAL": filepath.Join(home, "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1", "TERM": "xterm",
	} {
		if v != "" || k == "CI" || k == "GITHUB_ACTIONS" {
			env.Setenv(k, v)
		}
	}
	env.Defer(func() { endBackground(filepath.Join(home, ".cache")) })
	env.Values[serverKey{}], env.Values[worldKey{}] = &scriptSandbox{}, newWorld()
	return os.WriteFile(filepath.Join(home, "gitconfig"), []byte("[user]\n\tname = Ana\n\temail = ana@example.com\n[init]\n\tdefaultBranch = main\n"), 0o600)
}

// endBackground ends what a script that failed has left in the background.
func endBackground(cache string) {
	h := background.Home(filepath.Join(cache, "weelo-deploy", "background"))
	all, _ := h.List()
	for _, b := range all {
		_ = h.End(context.Background(), b.Name, 20*time.Second)
	}
}

// scriptSandbox is the sandbox of one script.
type scriptSandbox struct {
	server *sandbox.Server
	ecs    *ecs.Client
	seed   *seed.Seed
}

func box(ts *testscript.TestScript) *scriptSandbox {
	return ts.Value(serverKey{}).(*scriptSandbox)
}

// cmdSandbox: sandbox SEED [SPEED] — starts a sandbox and exports its
// environment.
func cmdSandbox(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: sandbox SEED [SPEED]")
	}
	speed := 20.0
	if len(args) == 2 {
		var err error
		speed, err = strconv.ParseFloat(args[1], 64)
		ts.Check(err)
	}
	path := ts.MkAbs(args[0])
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(scriptsDir(), "seeds", args[0])
	}
	sd, err := seed.Load(path)
	ts.Check(err)
	ctx := context.Background()
	server, closing, err := startServer(ctx, sandbox.Config{Listen: "127.0.0.1:0", Account: "318774499084", Region: "ap-south-1", Speed: speed, Seed: sd}, func(text string) { fmt.Fprintln(os.Stderr, text) })
	ts.Check(err)
	ts.Defer(func() { ts.Check(closing()) })
	for _, kv := range server.Env() {
		k, v, _ := strings.Cut(kv, "=")
		ts.Setenv(k, v)
	}
	ts.Setenv("REGISTRY", strings.TrimPrefix(server.URL(), "http://"))
	b := box(ts)
	b.server, b.seed = server, sd
	b.ecs = ecs.NewFromConfig(aws.Config{Region: "ap-south-1", BaseEndpoint: aws.String(server.URL()), Credentials: credentials.NewStaticCredentialsProvider("other", "person", "")})
}

// scriptsDir is the folder of this file's testdata; scripts run elsewhere.
func scriptsDir() string {
	_, file, _, _ := runtime.Caller(0)
	if !filepath.IsAbs(file) { // -trimpath
		wd, err := os.Getwd()
		if err != nil {
			panic(err)
		}
		return filepath.Join(wd, "testdata")
	}
	return filepath.Join(filepath.Dir(file), "testdata")
}

// cmdELF: elf PROGRAM FILE — writes a small static linux/amd64 program.
func cmdELF(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: elf idle|segfault|leaky|segfault-now|exit1|exit0|slow-segfault FILE")
	}
	programs := map[string][]byte{
		"idle":          tinyelf.Idle(),
		"segfault":      tinyelf.Segfault(time.Second, tinyelf.Output{Stdout: "starting\n", Stderr: "loading native module\n"}),
		"slow-segfault": tinyelf.Segfault(4*time.Second, tinyelf.Output{Stdout: "starting slowly\n"}),
		"leaky":         tinyelf.Segfault(time.Second, tinyelf.Output{Stdout: leak}),
		"exit1":         tinyelf.Exit(1, time.Second, tinyelf.Output{Stderr: "Error: DATABASE_URL is not set\n"}),
		"exit0":         tinyelf.Exit(0, time.Second, tinyelf.Output{}),
	}
	p, ok := programs[args[0]]
	if !ok {
		ts.Fatalf("there is no program %q", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), p, 0o755))
}

// cmdFault: fault JSON — adds a rule to the sandbox.
func cmdFault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fault JSON")
	}
	ts.Check(postFault(context.Background(), box(ts).server.URL(), args[0]))
}

// writes are the operations that somebody else could feel, or that leave
// something behind.
var writes = []string{
	"ecs.UpdateService", "ecs.StopServiceDeployment", "ecs.RegisterTaskDefinition", "ecs.DeregisterTaskDefinition", "ecs.TagResource",
	"ecs.UntagResource", "ecs.StopTask", "ecs.RunTask", "ecs.CreateService", "ecs.DeleteService", "ecr.PutImage", "ecr.BatchDeleteImage",
}

// cmdCalls: calls reset | calls none | calls OPERATION N — what was called since
// the last reset. none means no operation that changes anything.
func cmdCalls(ts *testscript.TestScript, neg bool, args []string) {
	b := box(ts)
	switch {
	case neg:
		ts.Fatalf("calls cannot be negated")
	case len(args) == 1 && args[0] == "reset":
		req, err := http.NewRequest(http.MethodDelete, b.server.URL()+"/_sandbox/calls", nil)
		ts.Check(err)
		res, err := http.DefaultClient.Do(req)
		ts.Check(err)
		res.Body.Close()
	case len(args) == 1 && args[0] == "none":
		for op, n := range b.totals(ts) {
			if slices.Contains(writes, op) && n > 0 {
				ts.Fatalf("%s was called %d times, want no call that changes anything", op, n)
			}
		}
	case len(args) == 2:
		want, err := strconv.Atoi(args[1])
		ts.Check(err)
		if got := b.totals(ts)[args[0]]; got != want {
			ts.Fatalf("%s was called %d times, want %d", args[0], got, want)
		}
	default:
		ts.Fatalf("usage: calls reset | calls none | calls service.Operation N")
	}
}

func (b *scriptSandbox) totals(ts *testscript.TestScript) map[string]int {
	res, err := http.Get(b.server.URL() + "/_sandbox/calls")
	ts.Check(err)
	defer res.Body.Close()
	var out struct{ Totals map[string]int }
	ts.Check(json.NewDecoder(res.Body).Decode(&out))
	return out.Totals
}

func (b *scriptSandbox) service(ts *testscript.TestScript) (types.Service, error) {
	s := b.seed.Services[0]
	return release.Site{ECS: b.ecs, Cluster: s.Cluster, Service: s.Name}.Read(context.Background())
}

// cmdAwait: await serving REVISION | await primary REVISION | await call
// OPERATION — polls until it is so, for at most a minute.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await serving|primary|call WHAT")
	}
	b := box(ts)
	last := ""
	holds := func() bool {
		if args[0] == "call" {
			n := b.totals(ts)[args[1]]
			last = fmt.Sprintf("%d calls", n)
			return n > 0
		}
		s, err := b.service(ts)
		if err != nil {
			last = err.Error()
			return false
		}
		p := history.Primary(s)
		last = release.Serves(s)
		if history.Revision(aws.ToString(p.TaskDefinition)) != args[1] {
			return false
		}
		return args[0] == "primary" || history.Completed(s) && len(s.Deployments) == 1
	}
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			ts.Fatalf("await %s: still %s after a minute", strings.Join(args, " "), last)
		case <-every.C:
		}
	}
}

// cmdDeploy: deploy REVISION — somebody else deploys a revision, and does not
// wait.
func cmdDeploy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: deploy REVISION")
	}
	b := box(ts)
	s := b.seed.Services[0]
	_, err := b.ecs.UpdateService(context.Background(), &ecs.UpdateServiceInput{
		Cluster: &s.Cluster, Service: &s.Name, TaskDefinition: aws.String(s.Family + ":" + args[0]), ForceNewDeployment: true,
	})
	ts.Check(err)
}

// cmdSignal: signal HUP|INT|TERM — sends it to the newest command that runs in the
// background; testscript's kill knows INT and KILL only.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"HUP": syscall.SIGHUP, "INT": os.Interrupt, "TERM": syscall.SIGTERM}
	running := ts.BackgroundCmds()
	if neg || len(args) != 1 || signals[args[0]] == nil || len(running) == 0 {
		ts.Fatalf("usage: signal HUP|INT|TERM, with a command in the background")
	}
	ts.Check(running[len(running)-1].Process.Signal(signals[args[0]]))
}

// cmdRegister: register FILE — somebody else registers a task definition.
func cmdRegister(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: register FILE")
	}
	b := box(ts)
	body := strings.ReplaceAll(ts.ReadFile(args[0]), "${REGISTRY}", ts.Getenv("REGISTRY"))
	req, err := http.NewRequest(http.MethodPost, b.server.URL(), strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition")
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		ts.Fatalf("register %s: %s: %s", args[0], res.Status, answer)
	}
}

// cmdField: field FILE PATH VALUE — the last line of a JSON Lines file (stdout,
// stderr or a file) has VALUE at PATH ("failure.code", "stages.3.status").
func cmdField(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: field FILE PATH VALUE")
	}
	lines := jsonLines(ts, ts.ReadFile(args[0]))
	var at any = lines[len(lines)-1]
	for _, key := range strings.Split(args[1], ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(v) {
				ts.Fatalf("%s: there is no element %s", args[1], key)
			}
			at = v[i]
		default:
			at = nil
		}
	}
	got := fmt.Sprint(at)
	if ok := got == args[2] || strings.HasSuffix(args[2], "*") && strings.HasPrefix(got, strings.TrimSuffix(args[2], "*")); ok == neg {
		ts.Fatalf("%s is %q, want %s%q", args[1], got, map[bool]string{true: "not "}[neg], args[2])
	}
}

// cmdStory: story FILE — the file is a run in JSON Lines: every line is as
// docs/events.schema.json says, an object with v, seq, time and type, seq counts from 1, and the last line, and no other,
// is the result.
func cmdStory(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: story FILE")
	}
	text := ts.ReadFile(args[0])
	if _, err := (&outputtest.Lines{Bad: func(err error) { ts.Fatalf("%v", err) }}).Write([]byte(text)); err != nil {
		ts.Fatalf("%v", err)
	}
	lines := jsonLines(ts, text)
	for i, l := range lines {
		if l["v"] != float64(1) || l["seq"] != float64(i+1) || l["type"] == nil {
			ts.Fatalf("line %d has v %v, seq %v, type %v", i+1, l["v"], l["seq"], l["type"])
		}
		at, err := time.Parse("2006-01-02T15:04:05.000Z", fmt.Sprint(l["time"]))
		if err != nil || time.Since(at).Abs() > time.Hour {
			ts.Fatalf("line %d: time %v: %v", i+1, l["time"], err)
		}
		if (l["type"] == "result") != (i == len(lines)-1) {
			ts.Fatalf("line %d of %d has the type %v", i+1, len(lines), l["type"])
		}
	}
}

func jsonLines(ts *testscript.TestScript, text string) []map[string]any {
	var out []map[string]any
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		var o map[string]any
		dec := json.NewDecoder(bytes.NewReader([]byte(line)))
		if err := dec.Decode(&o); err != nil {
			ts.Fatalf("line %d is no JSON object: %v\n%s", i+1, err, line)
		}
		out = append(out, o)
	}
	return out
}
