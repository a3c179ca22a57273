package build

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/solver/pb"

	"github.com/weelo/weelo-deploy/internal/event"
)

// solver is a BuildKit that builds nothing: it warns, and keeps what it was
// asked for.
type solver struct {
	control
	warnings []string
	asked    chan *controlapi.SolveRequest
	ends     chan struct{} // closed: Solve answers
}

func (s solver) Solve(ctx context.Context, r *controlapi.SolveRequest) (*controlapi.SolveResponse, error) {
	s.asked <- r
	select {
	case <-s.ends:
		return &controlapi.SolveResponse{ExporterResponse: map[string]string{"containerimage.digest": "sha256:" + strings.Repeat("a", 64)}}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s solver) Status(_ *controlapi.StatusRequest, stream controlapi.Control_StatusServer) error {
	v := "sha256:" + strings.Repeat("b", 64)
	st := &controlapi.StatusResponse{Vertexes: []*controlapi.Vertex{{Digest: v, Name: "[internal] load build definition"}}}
	for _, w := range s.warnings {
		st.Warnings = append(st.Warnings, &controlapi.VertexWarning{Vertex: v, Short: []byte(w), Info: &pb.SourceInfo{}})
	}
	if err := stream.Send(st); err != nil {
		return err
	}
	select {
	case <-s.ends:
	case <-stream.Context().Done():
	}
	return nil
}

// newSolver is an engine with such a BuildKit. It ends the build at once unless
// it has something to warn of, when the warning must end it.
func newSolver(t *testing.T, warnings ...string) (*fakeEngine, solver) {
	t.Helper()
	e := &fakeEngine{platforms: [][2]string{amd64}, sessions: true}
	e.info.Version, e.info.OS, e.info.Arch = "28.0.0", "linux", "amd64"
	s := solver{control: control{f: e}, warnings: warnings, asked: make(chan *controlapi.SolveRequest, 1), ends: make(chan struct{})}
	if len(warnings) == 0 {
		close(s.ends)
	}
	e.serve(t, s)
	return e, s
}

const baseWarning = `InvalidBaseImagePlatform: Base image node:20 was pulled with platform "linux/arm64", expected "linux/amd64" for current build (line 1)`

func TestBuild_PlatformLintIsAnError(t *testing.T) {
	t.Parallel()
	e, _ := newSolver(t, "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 2)", baseWarning)
	var rec recorder
	_, err := New(e).Build(t.Context(), request(write(t, map[string]string{"Dockerfile": "FROM node:20\n"})), rec.emit)
	f := event.FailuresOf(err)
	if len(f) != 1 || f[0].Code != event.CodePlatformMismatch || !strings.HasPrefix(f[0].Message, `base image node:20 was pulled with platform "linux/arm64"`) {
		t.Errorf("Build = %v, want PLATFORM_MISMATCH", err)
	}
	if !slices.ContainsFunc(rec.events, func(e event.Event) bool {
		n, ok := e.(event.Note)
		return ok && strings.Contains(n.Text, "FromAsCasing")
	}) {
		t.Errorf("events = %v, want the other warning as a note", rec.events)
	}
}

func TestBuild_CancelComesBeforeALie(t *testing.T) {
	t.Parallel()
	e, s := newSolver(t, "another warning")
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-s.asked; cancel(why) }()
	if _, err := New(e).Build(ctx, request(write(t, map[string]string{"Dockerfile": "FROM node:20\n"})), event.Discard); !errors.Is(err, why) {
		t.Errorf("Build = %v, want %v", err, why)
	}
}

func TestBuild_WhatBuildKitIsAsked(t *testing.T) {
	t.Parallel()
	e, s := newSolver(t)
	r := request(write(t, map[string]string{"Dockerfile": "FROM Node\nCOPY --from=assets /a /a\n"}))
	folder := t.TempDir()
	r.Contexts = map[string]string{"assets": folder, "docker.io/library/node:latest": "docker-image://mirror.example/node:20"}
	r.CacheFrom = []string{"example.com/app", "type=registry,ref=example.com/app:cache"}
	r.CacheTo = []string{"inline"}
	r.Pull, r.NoCache, r.Target = true, true, ""
	if _, err := New(e).Build(t.Context(), r, event.Discard); err != nil {
		t.Fatal(err)
	}
	got := <-s.asked
	for k, want := range map[string]string{
		"context:assets": "local:context:assets", "context:node": "docker-image://mirror.example/node:20",
		"frontend.caps": "moby.buildkit.frontend.contexts+forward", "image-resolve-mode": "pull", "no-cache": "", "platform": "linux/amd64",
	} {
		if v, ok := got.FrontendAttrs[k]; !ok || v != want {
			t.Errorf("attribute %s = %q, %v; want %q", k, v, ok, want)
		}
	}
	var refs []string
	for _, i := range got.Cache.Imports {
		refs = append(refs, i.Type+" "+i.Attrs["ref"])
	}
	if !slices.Equal(refs, []string{"registry example.com/app:latest", "registry example.com/app:cache"}) {
		t.Errorf("cache imports = %q", refs)
	}
	if len(got.Cache.Exports) != 1 || got.Cache.Exports[0].Type != "inline" {
		t.Errorf("cache exports = %v", got.Cache.Exports)
	}
}

func TestBuild_EmulationIsOnTheLabel(t *testing.T) {
	t.Parallel()
	e, s := newSolver(t)
	r := request(write(t, map[string]string{"Dockerfile": "FROM a\nRUN x\n"}))
	r.Platform, r.AllowEmulation, r.Labels = "linux/arm64", true, map[string]string{"mine": "x", LabelEmulated: "none, says the configuration"}
	res, err := New(e).Build(t.Context(), r, event.Discard)
	if err != nil || len(res.Emulated) != 1 {
		t.Fatalf("Build = %+v, %v", res, err)
	}
	if got := (<-s.asked).FrontendAttrs; got["label:weelo-deploy.emulated"] != "1 step of linux/arm64 on linux/amd64" || got["label:mine"] != "x" {
		t.Errorf("attributes = %v, want the labels", got)
	}
}

func TestCheck_ContextsAndCaches(t *testing.T) {
	dir := write(t, map[string]string{"Dockerfile": "FROM a\n", "file": "x"})
	for _, c := range []struct {
		name   string
		change func(*Request)
		want   string
	}{
		{"a folder that is not there", func(r *Request) { r.Contexts = map[string]string{"a": "/nonexistent"} }, "/nonexistent"},
		{"a file", func(r *Request) { r.Contexts = map[string]string{"a": filepath.Join(dir, "file")} }, "is not a folder"},
		{"a relative path", func(r *Request) { r.Contexts = map[string]string{"a": "x"} }, "neither a folder nor an image"},
		{"another scheme", func(r *Request) { r.Contexts = map[string]string{"a": "https://example.com/x.git"} }, "neither a folder nor an image"},
		{"an image that is none", func(r *Request) { r.Contexts = map[string]string{"a": "docker-image://A B"} }, `build context "a"`},
		{"a name that is none", func(r *Request) { r.Contexts = map[string]string{"a b": dir} }, "its name"},
		{"a cache of another kind", func(r *Request) { r.CacheFrom = []string{"type=gha"} }, `type "gha"`},
		{"a cache without a reference", func(r *Request) { r.CacheFrom = []string{"type=registry"} }, "build.cacheFrom"},
		{"a cache to a registry", func(r *Request) { r.CacheTo = []string{"type=registry,ref=x"} }, "is not supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(dir)
			c.change(&r)
			_, err := New(newFakeEngine(t, "amd64", amd64)).Check(t.Context(), r)
			if f := event.FailuresOf(err); len(f) != 1 || f[0].Code != event.CodeUsage || !strings.Contains(f[0].Error(), c.want) {
				t.Errorf("Check = %v, want USAGE with %q", err, c.want)
			}
		})
	}
}

func TestCheck_ContextsNeedAFrontendThatKnowsThem(t *testing.T) {
	r := request(write(t, map[string]string{"Dockerfile": "FROM scratch\n"}))
	r.Contexts = map[string]string{"a": t.TempDir()}
	if _, err := New(old(t)).Check(t.Context(), r); event.FailuresOf(err)[0].Code != event.CodeUnsupported {
		t.Errorf("Check on engine 20.10 = %v, want UNSUPPORTED", err)
	}
	r.Dockerfile = filepath.Join(write(t, map[string]string{"Dockerfile": "# syntax=docker/dockerfile:1\nFROM scratch\n"}), "Dockerfile")
	if _, err := New(old(t)).Check(t.Context(), r); err != nil {
		t.Errorf("Check with a frontend of its own = %v", err)
	}
}
