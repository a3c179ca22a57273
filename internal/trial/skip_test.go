package trial

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// fake is an engine that only says what it is, and what images it has.
type fake struct {
	Engine
	remote bool
	arch   string
	image  engine.Image
	away   bool
	create error
	start  error
	left   int // containers not removed
}

func (f *fake) Endpoint() string { return "ssh://builder" }
func (f *fake) Local() bool      { return !f.remote }
func (f *fake) Info(context.Context) (engine.Info, error) {
	if f.away {
		return engine.Info{}, &engine.UnreachableError{Endpoint: "unix:///x", From: "default", Hints: []string{"start it"}}
	}
	return engine.Info{OS: "linux", Arch: f.arch}, nil
}
func (f *fake) Image(context.Context, string) (engine.Image, error) { return f.image, nil }
func (f *fake) Containers(context.Context, ...string) ([]engine.ContainerSummary, error) {
	return nil, errors.New("denied")
}
func (f *fake) CreateContainer(context.Context, engine.ContainerSpec) (string, error) {
	f.left++
	return "id", f.create
}
func (f *fake) StartContainer(context.Context, string) error { return f.start }
func (f *fake) RemoveContainer(ctx context.Context, _ string) error {
	f.left--
	return ctx.Err()
}

func TestRun_NothingToTry(t *testing.T) {
	arm := engine.Image{OS: "linux", Architecture: "arm64"}
	amd := engine.Image{OS: "linux", Architecture: "amd64"}
	for _, c := range []struct {
		name string
		e    fake
		skip Skip
		text string
	}{
		{"a remote engine", fake{remote: true, arch: "amd64", image: amd}, SkipRemote, "ssh://builder is not on this machine"},
		{"an engine that would emulate", fake{arch: "arm64", image: amd}, SkipEngine, "linux/arm64 and would emulate linux/amd64"},
		{"an image of another machine", fake{arch: "amd64", image: arm}, SkipImage, "the image says linux/arm64"},
		{"a foreign system", fake{arch: "amd64", image: engine.Image{OS: "windows", Architecture: "amd64"}}, SkipImage, "windows/amd64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var rec recorder
			res, err := Run(t.Context(), &c.e, Request{Image: "x", Platform: "linux/amd64"}, rec.emit)
			if err != nil || res.Skip != c.skip || !strings.Contains(res.Text, c.text) || res.Status != event.Skipped {
				t.Errorf("Run = %+v, %v; want %q with %q", res, err, c.skip, c.text)
			}
			if got := rec.check(t); got.Status != event.Skipped || got.Detail != res.Text {
				t.Errorf("told %+v, want the reason", got)
			}
		})
	}
}

func TestRun_EngineTrouble(t *testing.T) {
	gone := &engine.UnreachableError{Endpoint: "unix:///x", From: "default", Hints: []string{"start it"}}
	amd := engine.Image{OS: "linux", Architecture: "amd64"}
	for _, c := range []struct {
		name string
		e    fake
		code event.Code
	}{
		{"away from the start", fake{away: true, arch: "amd64", image: amd}, event.CodeNoEngine},
		{"away in the middle", fake{arch: "amd64", image: amd, start: gone}, event.CodeNoEngine},
		{"no space", fake{arch: "amd64", image: amd, create: errors.New("create container x: no space left on device")}, event.CodeCannotStart},
		{"a user that the engine of podman misses", fake{arch: "amd64", image: amd, start: errors.New("unable to find user app: no matching entries in passwd file")}, event.CodeCannotStart},
		{"a runtime that refuses at the start", fake{arch: "amd64", image: amd, start: errors.New("crun: open executable: Exec format error")}, event.CodeExecFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Run(t.Context(), &c.e, Request{Image: "x"}, event.Discard)
			f := event.FailuresOf(err)[0]
			if f.Code != c.code || f.Stage != "verify" || len(f.Hints) == 0 || c.e.left != 0 {
				t.Errorf("Run = %+v with %d containers left, want %s and none", f, c.e.left, c.code)
			}
		})
	}
}

func TestRun_CancelledBeforeTheStart(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	e := &fake{arch: "amd64", image: engine.Image{OS: "linux", Architecture: "amd64"}}
	if _, err := Run(ctx, e, Request{Image: "x"}, event.Discard); !errors.Is(err, why) || e.left != 0 {
		t.Errorf("Run = %v with %d containers left, want %v and none", err, e.left, why)
	}
}

func TestByHand_ShowsNoGivenValue(t *testing.T) {
	r := Request{
		Env: map[string]string{"TOKEN": "s3cret"}, Container: Container{
			EntryPoint: []string{"/bin/app", "--x"}, Command: []string{"a b"}, User: "5", ReadonlyRoot: true, Init: true,
			MemoryBytes: 64 << 20, Environment: []string{"MODE"}, DropCapabilities: []string{"KILL"}, WorkingDirectory: "/w",
		},
	}
	s := subject{request: r, image: engine.Image{ID: "sha256:1"}, env: environment(r)}
	want := `docker run --rm --network none --read-only --init --user 5 --workdir /w --memory 67108864 --cap-drop KILL --env MODE=placeholder --env TOKEN --entrypoint /bin/app sha256:1 --x 'a b'`
	if got := s.byHand(); got != want {
		t.Errorf("byHand =\n%s, want\n%s", got, want)
	}
}
