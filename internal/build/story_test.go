package build

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bkclient "github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/weelo/weelo-deploy/internal/event"
)

// at is a time, in seconds.
func at(seconds float64) *time.Time {
	t := time.Unix(1700000000, 0).Add(time.Duration(seconds * float64(time.Second)))
	return &t
}

func vtx(name string, change func(*bkclient.Vertex)) *bkclient.SolveStatus {
	v := &bkclient.Vertex{Digest: digest.FromString(name), Name: name}
	change(v)
	return &bkclient.SolveStatus{Vertexes: []*bkclient.Vertex{v}}
}

func begin(name string, s float64) *bkclient.SolveStatus {
	return vtx(name, func(v *bkclient.Vertex) { v.Started = at(s) })
}

func finish(name string, from, to float64) *bkclient.SolveStatus {
	return vtx(name, func(v *bkclient.Vertex) { v.Started, v.Completed = at(from), at(to) })
}

func output(name, data string) *bkclient.SolveStatus {
	return &bkclient.SolveStatus{Logs: []*bkclient.VertexLog{{Vertex: digest.FromString(name), Data: []byte(data)}}}
}

func TestStory(t *testing.T) {
	started := func(s string) event.Build { return event.Build{Step: s, Status: event.Started} }
	line := func(s, l string) event.Build { return event.Build{Step: s, Line: l} }
	done := func(s string, sec float64) event.Build {
		return event.Build{Step: s, Status: event.Done, Seconds: sec}
	}
	for _, c := range []struct {
		name string
		in   []*bkclient.SolveStatus
		want []event.Event
	}{
		{"a step begins, prints and ends", []*bkclient.SolveStatus{begin("s", 0), begin("s", 0), output("s", "one\ntw"), output("s", "o\nlast"), finish("s", 0, 1.5), finish("s", 0, 1.5)},
			[]event.Event{started("s"), line("s", "one"), line("s", "two"), line("s", "last"), done("s", 1.5)}},
		{"a cached step is told once", []*bkclient.SolveStatus{vtx("s", func(v *bkclient.Vertex) { v.Started, v.Completed, v.Cached = at(0), at(0), true })},
			[]event.Event{event.Build{Step: "s", Status: event.Cached}}},
		{"a step that runs again is told again", []*bkclient.SolveStatus{finish("s", 0, 0.1), begin("s", 2), finish("s", 2, 5)},
			[]event.Event{done("s", 0.1), started("s"), done("s", 3)}},
		{"a step that fails", []*bkclient.SolveStatus{begin("s", 0), vtx("s", func(v *bkclient.Vertex) { v.Started, v.Completed, v.Error = at(0), at(1), "exit code: 1" })},
			[]event.Event{started("s"), event.Build{Step: "s", Status: event.Failed, Seconds: 1, Error: "exit code: 1"}}},
		{"a step that was given up", []*bkclient.SolveStatus{begin("s", 0), vtx("s", func(v *bkclient.Vertex) { v.Started, v.Completed, v.Error = at(0), at(1), "context canceled" })},
			[]event.Event{started("s"), event.Build{Step: "s", Status: event.Interrupted, Seconds: 1}}},
		{"BuildKit's own quick steps are not told", []*bkclient.SolveStatus{begin("[internal] load .dockerignore", 0), finish("[internal] load .dockerignore", 0, 0.5)}, nil},
		{"a long one is", []*bkclient.SolveStatus{finish("[internal] load build context", 0, 2)}, []event.Event{done("[internal] load build context", 2)}},
		{"a progress bar is its last state", []*bkclient.SolveStatus{begin("s", 0), output("s", "10%\r50%\r100%\r\n")}, []event.Event{started("s"), line("s", "100%")}},
		{"an endless line is cut", []*bkclient.SolveStatus{begin("s", 0), output("s", strings.Repeat("x", maxLine+3)+"\n")},
			[]event.Event{started("s"), line("s", strings.Repeat("x", maxLine)), line("s", "xxx")}},
		{"bytes that are no text", []*bkclient.SolveStatus{begin("s", 0), output("s", "a\xffb\n")}, []event.Event{started("s"), line("s", "a\uFFFDb")}},
		{"a secret", []*bkclient.SolveStatus{begin("s", 0), output("s", "it is hun"), output("s", "ter2!\n")}, []event.Event{started("s"), line("s", "it is ***!")}},
		{"a warning is told once", []*bkclient.SolveStatus{{Warnings: []*bkclient.VertexWarning{{Short: []byte("W")}, {Short: []byte("W")}}}}, []event.Event{event.Note{Level: event.Warn, Text: "build: W"}}},
		{"output of a step that nobody named", []*bkclient.SolveStatus{output("s", "lost\n")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []event.Event
			s := newStory(func(e event.Event) { got = append(got, e) }, newMask(map[string][]byte{"x": []byte("hunter2\n")}))
			for _, st := range c.in {
				s.tell(st)
			}
			s.end()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMask(t *testing.T) {
	m := newMask(map[string][]byte{
		"npmrc": []byte("registry=https://registry.example/\n//registry.example/:_authToken=npm_0123456789\n"),
		"env":   []byte("PASSWORD=\"correct horse battery\"\n"),
		"short": []byte("abc"),
		"word":  []byte("pass"),
		"empty": nil,
	})
	for in, want := range map[string]string{
		"token npm_0123456789.":              "token ***.",
		"a correct horse battery staple":     "a *** staple",
		"abc is too short to hide":           "abc is too short to hide",
		"my pass":                            "my ***",
		"nothing to see":                     "nothing to see",
		"//registry.example/:_authToken=npm": "//registry.example/:_authToken=npm",
	} {
		if got := m.text(in); got != want {
			t.Errorf("text(%q) = %q, want %q", in, got, want)
		}
	}
	if got := newMask(nil).text("a"); got != "a" {
		t.Errorf("without secrets: %q", got)
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"failed to solve: rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to create LLB definition: no such host": "no such host",
		`failed to solve: process "/bin/sh -c x" did not complete successfully: exit code: 1`:                                                          `process "/bin/sh -c x" did not complete successfully: exit code: 1`,
		`"/probed" not found: not found`: `"/probed" not found`,
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestStepHints(t *testing.T) {
	emulated := Nativeness{Worker: "linux/arm64", Target: "linux/amd64", Emulated: []string{"x"}}
	native := Nativeness{Worker: "linux/amd64", Target: "linux/amd64", Native: true}
	for _, c := range []struct {
		name, err string
		n         Nativeness
		want      string
	}{
		{"a crash under emulation", "exit code: 139", emulated, "build on a linux/amd64 machine"},
		{"a crash on the right machine", "exit code: 139", native, ""},
		{"a wrong machine", "exec /x: exec format error", native, "another machine than linux/amd64"},
		{"killed", "exit code: 137", native, "too little memory"},
		{"a usual failure", "exit code: 1", emulated, ""},
		{"a missing file, newer BuildKit", `failed to calculate checksum of ref abc: "/x": not found`, native, ".dockerignore"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := stepHints(event.Fail(event.CodeBuildFailed, "x"), &vertex{err: c.err}, c.n)
			if got := strings.Join(f.Hints, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("hints = %q, want %q", got, c.want)
			}
		})
	}
}
