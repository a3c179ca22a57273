package build

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh/agent"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
)

// recorder keeps the events of a build.
type recorder struct {
	mu     sync.Mutex
	events []event.Event
	seen   func(event.Event)
}

func (r *recorder) emit(e event.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	if r.seen != nil {
		r.seen(e)
	}
}

// steps are "status name" of every step's end and "| line" of its output.
func (r *recorder) steps() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, e := range r.events {
		b, ok := e.(event.Build)
		switch {
		case !ok, b.Status == event.Started:
		case b.Status == "":
			all = append(all, "| "+b.Line)
		default:
			all = append(all, string(b.Status)+" "+b.Step)
		}
	}
	return all
}

// project is a folder with a Dockerfile and the probe, and its request, named
// and with a label that no other build has.
func project(t *testing.T, e *engine.Engine, dockerfile string, files map[string]string) Request {
	t.Helper()
	info, err := e.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files["Dockerfile"], files["probe"] = dockerfile, string(enginetest.Probe(t, info.Arch))
	dir := write(t, files)
	if err := os.Chmod(filepath.Join(dir, "probe"), 0o755); err != nil {
		t.Fatal(err)
	}
	mark := enginetest.Name(t)
	r := request(dir)
	r.Platform, r.Name, r.Labels = "linux/"+info.Arch, mark+":latest", map[string]string{"weelo-deploy.test": mark}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		images, err := e.Images(ctx, "weelo-deploy.test="+mark)
		if err != nil {
			t.Error(err)
		}
		for _, i := range images {
			if err := e.RemoveImage(ctx, i.ID); err != nil {
				t.Error(err)
			}
		}
	})
	return r
}

func mustBuild(t *testing.T, e *engine.Engine, r Request) (Result, []string) {
	t.Helper()
	var rec recorder
	res, err := New(e).Build(t.Context(), r, rec.emit)
	if err != nil {
		t.Fatalf("Build: %v\n%s", err, strings.Join(rec.steps(), "\n"))
	}
	return res, rec.steps()
}

func TestBuild_FeaturesThatUsersKnow(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	r := project(t, e, `ARG GLOBAL=none
FROM scratch AS base
COPY probe /probe
FROM base AS app
ARG VERSION
ENV VERSION=$VERSION
COPY . /context
RUN ["/probe", "env=VERSION", "cat=/context/kept", "cat=/context/left-out"]
FROM app AS unused
RUN ["/probe", "exit=9"]
`, map[string]string{"kept": "this is kept", "left-out": "x", ".dockerignore": "left-*\n"})
	r.NoCache = true // the output is wanted
	r.Target, r.Args = "app", map[string]string{"VERSION": "1.2.3", "GLOBAL": "x"}
	r.Labels["org.example"] = "value with spaces, and = signs"
	res, steps := mustBuild(t, e, r)
	told := strings.Join(steps, "\n")
	for _, want := range []string{"| 1.2.3", "| this is kept", "left-out: no such file", "done [app 2/2] RUN"} {
		if !strings.Contains(told, want) {
			t.Errorf("the build does not tell %q:\n%s", want, told)
		}
	}
	i, err := e.Image(t.Context(), r.Name)
	if err != nil || i.ID != res.ImageID || i.Labels["org.example"] != r.Labels["org.example"] || !slices.Contains(i.Env, "VERSION=1.2.3") {
		t.Errorf("built %+v, image %+v, %v", res, i, err)
	}
	if res.Steps != 3 || len(res.Emulated) != 0 {
		t.Errorf("Result = %+v, want 3 steps, none emulated", res)
	}
}

func TestBuild_TwiceGivesTheSameImage(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	r := project(t, e, "FROM scratch\nCOPY probe /\nRUN [\"/probe\", \"out=hello\"]\n", map[string]string{})
	r.Labels[labelCreated] = "2024-05-06T07:08:09Z"
	one, _ := mustBuild(t, e, r)
	later := time.Now().Add(time.Hour) // what a new checkout does to files
	if err := os.Chtimes(filepath.Join(r.Context, "probe"), later, later); err != nil {
		t.Fatal(err)
	}
	two, steps := mustBuild(t, e, r)
	if one.ImageID != two.ImageID || two.Cached != 2 || !slices.Contains(steps, "cached [1/2] COPY probe /") {
		t.Errorf("built %+v, then %+v with %q; want the same image from the cache", one, two, steps)
	}
	r.NoCache = true
	if three, _ := mustBuild(t, e, r); three.Cached != 0 {
		t.Errorf("with NoCache: %+v, want nothing cached", three)
	}
}

func TestBuild_Secrets(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	r := project(t, e, `FROM scratch
COPY probe /
RUN --mount=type=secret,id=npmrc --mount=type=secret,id=token ["/probe", "cat=/run/secrets/npmrc", "cat=/run/secrets/token", "unfinished=printed: from-env-77"]
`, map[string]string{})
	r.NoCache = true // the output is wanted
	file := filepath.Join(t.TempDir(), "npmrc")
	if err := os.WriteFile(file, []byte("registry=https://r.example\n//r.example/:_authToken=npm_abcdef123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := New(e)
	b.lookup = func(k string) (string, bool) {
		return map[string]string{"TOKEN": "from-env-77"}[k], k == "TOKEN"
	}
	r.Secrets = []Secret{{ID: "npmrc", File: file}, {ID: "token", Env: "TOKEN"}}
	var rec recorder
	if _, err := b.Build(t.Context(), r, rec.emit); err != nil {
		t.Fatal(err)
	}
	all, err := json.Marshal(rec.events)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"npm_abcdef123", "from-env-77"} {
		if strings.Contains(string(all), secret) {
			t.Errorf("the events tell the secret %s:\n%s", secret, all)
		}
	}
	if !strings.Contains(string(all), `"***`) {
		t.Errorf("the step read no secrets:\n%s", all)
	}
	saved, err := e.Save(t.Context(), r.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	var image bytes.Buffer
	if _, err := image.ReadFrom(saved); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"npm_abcdef123", "_authToken"} {
		if bytes.Contains(image.Bytes(), []byte(secret)) {
			t.Errorf("the image holds the secret's %s", secret)
		}
	}
}

func TestBuild_SSHAgent(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	keys := agent.NewKeyring()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(keys, c)
		}
	}()
	r := project(t, e, "FROM scratch\nCOPY probe /\nRUN --mount=type=ssh [\"/probe\", \"keys\"]\n", map[string]string{})
	r.NoCache, r.SSH = true, []string{"default=" + sock}
	if _, steps := mustBuild(t, e, r); !slices.Contains(steps, "| keys 1 <nil>") {
		t.Errorf("steps = %q, want the agent's key", steps)
	}
}

func TestBuild_FailingStep(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	var args []string
	for i := range 30 {
		args = append(args, fmt.Sprintf("%q", fmt.Sprintf("out=line %d", i)))
	}
	r := project(t, e, "FROM scratch\nCOPY probe /\nRUN [\"/probe\", "+strings.Join(args, ", ")+", \"unfinished=the reason\", \"exit=3\"]\n", map[string]string{})
	var rec recorder
	_, err := New(e).Build(t.Context(), r, rec.emit)
	f := event.FailuresOf(err)[0]
	if f.Code != event.CodeBuildFailed || !strings.HasPrefix(f.Message, `build step [2/2] RUN ["/probe"`) || !strings.HasSuffix(f.Message, "failed: exit code 3") {
		t.Errorf("Build = %+v, want the step and its exit code", f)
	}
	if len(f.Logs) != keptLines || f.Logs[keptLines-1] != "the reason" || f.Logs[0] != "line 11" {
		t.Errorf("logs = %q, want the last %d lines", f.Logs, keptLines)
	}
	steps := rec.steps()
	if len(steps) == 0 || !strings.HasPrefix(steps[len(steps)-1], "failed [2/2] RUN") {
		t.Errorf("the last event of a step is %q", steps)
	}
}

func TestBuild_Failures(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	for _, c := range []struct{ name, file, message, hint string }{
		{"a base image that cannot be had", "FROM 127.0.0.1:1/base:1\n", "fetch base image 127.0.0.1:1/base:1: ", "docker pull 127.0.0.1:1/base:1"},
		{"a frontend that cannot be had", "# syntax=127.0.0.1:1/frontend:1\nFROM scratch\nCOPY probe /\n", `"# syntax=127.0.0.1:1/frontend:1"`, "without that line"},
		{"a file that is not in the context", "FROM scratch\nCOPY nothing /\n", "build step [1/1] COPY nothing / failed", ".dockerignore"},
		{"a program that is not there", "FROM scratch\nCOPY probe /\nRUN [\"/nothing\"]\n", "/nothing", ""},
		{"a script without its first line", "FROM scratch\nCOPY --chmod=755 script /\nRUN [\"/script\"]\n", "/script", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(e).Build(t.Context(), project(t, e, c.file, map[string]string{"script": "echo"}), event.Discard)
			f := event.FailuresOf(err)[0]
			if f.Code != event.CodeBuildFailed || !strings.Contains(f.Message, c.message) || !strings.Contains(strings.Join(f.Hints, "\n"), c.hint) {
				t.Errorf("Build = %s with hints %q, want %q and %q", f.Message, f.Hints, c.message, c.hint)
			}
			if strings.Contains(err.Error(), "rpc error") || strings.Contains(err.Error(), "failed to solve") {
				t.Errorf("the message has BuildKit's noise: %v", err)
			}
		})
	}
}

func TestBuild_Cancelled(t *testing.T) {
	e := enginetest.Open(t)
	r := project(t, e, "FROM scratch\nCOPY probe /\nRUN [\"/probe\", \"wait\"]\n", map[string]string{})
	before := goleak.IgnoreCurrent()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	rec := recorder{seen: func(e event.Event) {
		if b, ok := e.(event.Build); ok && b.Line == "waiting" {
			cancel(why)
		}
	}}
	began := time.Now()
	_, err := New(e).Build(ctx, r, rec.emit)
	if !errors.Is(err, why) {
		t.Errorf("Build = %v, want %v", err, why)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the build ended %s after it began", took)
	}
	goleak.VerifyNone(t, before)
}

func TestBuild_DockerfileOutsideOfTheContext(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	r := project(t, e, "FROM scratch\n", map[string]string{})
	other := write(t, map[string]string{"Dockerfile.production": "FROM scratch\nCOPY probe /here\n"})
	r.Dockerfile = filepath.Join(other, "Dockerfile.production")
	if _, steps := mustBuild(t, e, r); !slices.ContainsFunc(steps, func(s string) bool { return strings.HasSuffix(s, "COPY probe /here") }) {
		t.Errorf("steps = %q, want those of the other Dockerfile", steps)
	}
}

// TestBuild_PrivateBase fetches a base image from a registry that wants a login.
func TestBuild_PrivateBase(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	info, err := e.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(basicAuth("me", "pa:ss", registry.New(registry.Logger(log.New(io.Discard, "", 0)))))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	base := enginetest.Image{Files: map[string][]byte{"/base": []byte("x")}, Arch: info.Arch, Config: v1.Config{Env: []string{"BASE=private"}}}
	ref, err := name.ParseReference(host + "/base:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, base.Build(t), remote.WithAuth(&user{"me", "pa:ss"})); err != nil {
		t.Fatal(err)
	}
	r := project(t, e, "FROM "+ref.String()+"\nCOPY probe /probe\n", map[string]string{})
	config := write(t, map[string]string{"config.json": `{"auths":{"` + host + `":{"auth":"bWU6cGE6c3M="}}}`})
	b := New(e)
	b.lookup = func(k string) (string, bool) { return config, k == "DOCKER_CONFIG" }
	if _, err := b.Build(t.Context(), r, event.Discard); err != nil {
		t.Fatal(err)
	}
	if i, err := e.Image(t.Context(), r.Name); err != nil || !slices.Contains(i.Env, "BASE=private") {
		t.Errorf("Image = %+v, %v; want the base's environment", i, err)
	}
	b.lookup = func(k string) (string, bool) { return t.TempDir(), k == "DOCKER_CONFIG" }
	r.Pull = true
	_, err = b.Build(t.Context(), r, event.Discard)
	if f := event.FailuresOf(err)[0]; f.Code != event.CodeBuildFailed || !strings.Contains(strings.Join(f.Hints, ""), "docker login") {
		t.Errorf("Build without a login = %v, want a hint to log in", err)
	}
}
