package release_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/event"
)

// faraway is another machine: what it builds is in the repository under a tag
// already.
type faraway struct {
	w        *world
	built    string // tag of the image that it pushes
	checkErr error
	buildErr error
	asked    []build.Request
	tags     []string
}

func (f *faraway) Check(context.Context, build.Request) (string, error) {
	return "far away", f.checkErr
}

func (f *faraway) Build(_ context.Context, r build.Request, _, tag string, _ event.Emit) (string, error) {
	f.asked, f.tags = append(f.asked, r), append(f.tags, tag)
	if f.buildErr != nil {
		return "", f.buildErr
	}
	image, err := f.w.server.Images().Resolve("weelo-backend", f.built, "", "")
	return image.Digest, err
}

// elsewhere releases what the other machine builds, under tags.
func (w *world) elsewhere(f *faraway, tags ...string) event.Result {
	w.clients.Elsewhere = f
	s := w.settings("")
	s.Image, s.Tags = "", tags
	return w.release(s)
}

func (w *world) holds(tag string) string {
	image, err := w.server.Images().Resolve("weelo-backend", tag, "", "")
	if err != nil {
		return ""
	}
	return image.Digest
}

func TestAnImageBuiltElsewhereIsReleasedByItsDigestAndTaggedLast(t *testing.T) {
	w := newWorld(t, incident, nil)
	f := &faraway{w: w, built: "good"}
	res := w.elsewhere(f, "v9", "newest")
	if res.Outcome != event.Released || !strings.HasSuffix(res.Image, "@"+w.holds("good")) {
		t.Fatalf("the release ended as %s with %s: %+v\n%s", res.Outcome, res.Image, res.Failure, w.story())
	}
	if w.holds("v9") != w.holds("good") || w.holds("newest") != w.holds("good") {
		t.Error("the tags of the release do not name the image")
	}
	if !slices.Equal(f.tags, []string{"weelo-build-run1"}) || f.asked[0].Labels["dev.weelo.deploy.inputs"] == "" {
		t.Errorf("the other machine was asked for %v with the labels %v", f.tags, f.asked[0].Labels)
	}
}

func TestWhatIsWrongWithAnImageBuiltElsewhereIsFoundBeforeItGetsATag(t *testing.T) {
	for name, c := range map[string]struct {
		far  faraway
		tag  string
		code event.Code
	}{
		"a machine that cannot build":    {faraway{checkErr: event.Fail(event.CodeEmulatedBuild, "it is another one")}, "v9", event.CodeEmulatedBuild},
		"a build that fails":             {faraway{buildErr: event.Fail(event.CodeBuildFailed, "exit 1")}, "v9", event.CodeBuildFailed},
		"another platform":               {faraway{built: "arm"}, "v9", event.CodePlatformMismatch},
		"an image that is not there":     {faraway{built: "none"}, "v9", event.CodeInternal},
		"a tag that a revision lives by": {faraway{built: "good"}, "v1", event.CodeTagInUse},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, incident, nil)
			c.far.w = w
			before := w.holds(c.tag)
			res := w.elsewhere(&c.far, c.tag)
			if res.Failure == nil || res.Failure.Code != c.code || res.Deployment != "" {
				t.Fatalf("the release ended as %s: %+v, want %s", res.Outcome, res.Failure, c.code)
			}
			if w.holds(c.tag) != before {
				t.Errorf("the tag %s was moved", c.tag)
			}
		})
	}
}

func TestABuildElsewhereThatCannotBeSeenIsAFaultWithItsName(t *testing.T) {
	w := newWorld(t, incident, nil)
	res := w.elsewhere(&faraway{w: w, buildErr: errors.New("no network")}, "v9")
	if res.ExitCode != event.ExitInternal || res.Deployment != "" || !strings.Contains(res.Failure.Error(), "build with CodeBuild: no network") {
		t.Errorf("the release ended with %d: %v", res.ExitCode, res.Failure)
	}
}
