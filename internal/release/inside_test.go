package release_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/image/imagetest"
	"github.com/weelo/weelo-deploy/internal/scan"
)

// put pushes an image of imagetest to the sandbox as if another program had.
func (w *world) put(name, tag string) *imagetest.Content {
	w.t.Helper()
	c, ok := imagetest.Find(name)
	if !ok {
		w.t.Fatalf("imagetest has no image %s", name)
	}
	auth, err := image.Login(w.t.Context(), w.clients.ECR, w.server.Registry())
	if err != nil {
		w.t.Fatal(err)
	}
	content := c.Content()
	if err := content.Push(w.t.Context(), w.server.URL(), "weelo-backend", tag, auth.Username, auth.Password); err != nil {
		w.t.Fatal(err)
	}
	return content
}

// An image that is in the registry already is looked into as one that is built
// here: whoever pushed it need not have.
func TestReleaseLooksInsideAnImageOfTheRegistry(t *testing.T) {
	for name, c := range map[string]struct {
		code  event.Code
		allow []scan.Rule
	}{
		"program-arm64": {code: "BINARY_MISMATCH"},
		"other-layers":  {code: "PLATFORM_MISMATCH"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, incident, nil)
			w.put(name, "bad")
			res := w.release(w.settings("bad"))
			w.want(res, 4, event.Refused, c.code, "27")
			if n := w.count("RegisterTaskDefinition") + w.count("UpdateService"); n != 0 {
				t.Errorf("%d calls changed something", n)
			}
		})
	}
	t.Run("a file that is accepted", func(t *testing.T) {
		w := newWorld(t, incident, nil)
		w.put("program-arm64", "bad")
		s := w.settings("bad")
		s.Allow = []scan.Rule{{Path: "/app", Reason: "it is never started"}}
		res := w.release(s)
		w.want(res, 0, event.Released, "", "38")
		if res.Binaries == nil || len(res.Binaries.Findings) != 1 || res.Binaries.Findings[0].Reason != "it is never started" {
			t.Errorf("binaries = %+v, want the accepted finding with its reason", res.Binaries)
		}
	})
	t.Run("it is told that nothing was tried", func(t *testing.T) {
		w := newWorld(t, incident, nil)
		w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
		if s := w.story(); !strings.Contains(s, "trial run Status:skipped Detail:the image is in the registry and was not built here") {
			t.Errorf("story = %s", s)
		}
	})
}

// Whatever lies about the platform, the release says where, and changes nothing.
func TestReleaseNamesEachLie(t *testing.T) {
	w := newWorld(t, incident, nil)
	for _, name := range []string{
		"config-arm64", "config-lies-to-index", "index-lies", "manifest-lies", "no-architecture", "windows", "os-version", "amd64-v3", "arm-v7",
		"index-without-platform", "index-two-candidates", "index-amd64-v2-and-v3", "index-empty", "index-nested", "index-attestations-only", "mixed-compressions", "fewer-diff-ids",
	} {
		t.Run(name, func(t *testing.T) {
			w.put(name, name)
			c, _ := imagetest.Find(name)
			s := w.settings(name)
			res := w.release(s)
			if res.ExitCode != 4 || res.Failure == nil || res.Failure.Code != "PLATFORM_MISMATCH" || !imagetest.Matches(res.Failure.Message, c.Says[0], s.Image) {
				t.Errorf("release = exit %d, %v; want %q", res.ExitCode, res.Failure, c.Says[0])
			}
		})
	}
	t.Run("runtimePlatform", func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(incident, "networkMode: bridge,", "networkMode: bridge, runtimePlatform: {cpuArchitecture: X86_64, operatingSystemFamily: LINUX},"), nil)
		s := w.settings("arm")
		s.Build.Platform = "linux/arm64"
		res := w.release(s)
		if res.ExitCode != 4 || res.Failure == nil || !strings.Contains(res.Failure.Message, "build.platform wants linux/arm64, runtimePlatform of backend:27 wants linux/amd64") {
			t.Errorf("release = exit %d, %v; want runtimePlatform named", res.ExitCode, res.Failure)
		}
	})
	if n := w.count("RegisterTaskDefinition") + w.count("UpdateService"); n != 0 {
		t.Errorf("%d calls changed something", n)
	}
}
