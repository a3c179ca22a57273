package release_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/image/imagetest"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// workshop builds, elsewhere, what a commit and a folder outside of it make.
type workshop struct {
	w      *world
	dist   string // what git ignores
	builds int
}

const theCommit = "1f0c1a5e4cb4b8ab5ae1a8b5e0d2b2c2a3b4c5d6"

func (f *workshop) Check(context.Context, build.Request) (string, error) { return "workshop", nil }

func (f *workshop) Build(ctx context.Context, r build.Request, _, tag string, _ event.Emit) (string, error) {
	f.builds++
	c, labels := imagetest.New(), maps.Clone(r.Labels)
	labels["org.opencontainers.image.revision"], labels["dist"] = theCommit, f.dist
	c.Top = c.Image(imagetest.Image{Labels: labels})
	auth, err := image.Login(ctx, f.w.clients.ECR, f.w.server.Registry())
	if err != nil {
		return "", err
	}
	return c.Top.Digest.String(), c.Push(ctx, f.w.server.URL(), "weelo-backend", tag, auth.Username, auth.Password)
}

// ofCommit are the settings of a release of theCommit, under its own tag.
func (w *world) ofCommit(f *workshop, run string) release.Settings {
	w.clients.Elsewhere = f
	s := w.settings("")
	s.Image, s.Tags, s.RunID = "", []string{"c1"}, run
	s.Source.Commit = theCommit
	return s
}

func TestAnImageThatFailedIsBuiltAnewForTheSameCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	f := &workshop{w: w, dist: "broken"}
	w.want(w.release(w.ofCommit(f, "run1")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	f.dist = "mended"
	w.want(w.release(w.ofCommit(f, "run2")), 0, event.Released, "", "39")
	if said := "the image of this commit failed as backend:38 (EXIT_139_SIGSEGV): built anew"; f.builds != 2 || !w.told(said) {
		t.Errorf("%d builds, want 2 and %q:\n%s", f.builds, said, w.story())
	}
	if w.told("this very image failed before") {
		t.Error("the mended image is taken for the one that failed")
	}
	w.want(w.release(w.ofCommit(f, "run3")), 0, event.Unchanged, "", "39")
	if f.builds != 2 {
		t.Errorf("the image that serves was built again")
	}
}

func TestABuildThatGivesTheFailedImageAgainIsWarnedOfAndReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	f := &workshop{w: w}
	w.want(w.release(w.ofCommit(f, "run1")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	w.want(w.release(w.ofCommit(f, "run2")), 0, event.Released, "", "39")
	if said := "this very image failed before, as backend:38 (EXIT_139_SIGSEGV)"; f.builds != 2 || !w.told(said) {
		t.Errorf("%d builds, want 2 and %q:\n%s", f.builds, said, w.story())
	}
	// It is proven now: its first failure says nothing against it.
	s := w.ofCommit(f, "run3")
	s.Redeploy = true
	w.want(w.release(s), 0, event.Released, "", "39")
	if f.builds != 2 {
		t.Errorf("%d builds: the proven image was not reused", f.builds)
	}
}

func TestAnImmutableTagOfAFailedImageIsKeptAndTheNewImageGetsAnother(t *testing.T) {
	t.Parallel()
	immutable := strings.Replace(incident, "- name: weelo-backend\n", "- name: weelo-backend\n    immutable: true\n", 1)
	w := newWorld(t, immutable, map[string]scripted.Script{"backend:38": segfault})
	f := &workshop{w: w, dist: "broken"}
	w.want(w.release(w.ofCommit(f, "run1")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	failed := w.holds("c1")
	f.dist = "mended"
	w.want(w.release(w.ofCommit(f, "run2")), 0, event.Released, "", "39")
	if w.holds("c1") != failed || w.holds("c1-run2") == "" || w.holds("c1-run2") == failed {
		t.Errorf("c1 is %s, c1-run2 is %s; want the failed image %s and another", w.holds("c1"), w.holds("c1-run2"), failed)
	}
}

func TestAnImageThatFailedIsReleasedByNameWithAWarning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.want(w.release(w.settings("good")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	s := w.settings("good")
	s.RunID = "run2"
	w.want(w.release(s), 0, event.Released, "", "39")
	if said := "this very image failed before, as backend:38 (EXIT_139_SIGSEGV)"; !w.told(said) {
		t.Errorf("the story lacks %q:\n%s", said, w.story())
	}
	w.wantTag("39", history.Proven, "")
}

func TestAHistoryThatIsDeniedHoldsNothingAgainstAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	f := &workshop{w: w}
	w.want(w.release(w.ofCommit(f, "run1")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	w.fault(`{"when":"ListServiceDeployments","error":"AccessDeniedException","times":1000}`)
	w.want(w.release(w.ofCommit(f, "run2")), 0, event.Released, "", "39")
	if f.builds != 1 {
		t.Errorf("%d builds, want the image reused", f.builds)
	}
}
