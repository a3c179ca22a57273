package registry

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bounded is a store in a directory with a clock of its own, and a client.
func bounded(t *testing.T) (*uploads, *time.Time) {
	t.Helper()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	s, err := Open(filepath.Join(t.TempDir(), "registry"), account, region, WithClock(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.CreateRepository("app", false); err != nil {
		t.Fatal(err)
	}
	return &uploads{t: t, s: s, h: s.Handler(), content: "0123456789"}, &now
}

func TestHandler_refusesALayerThatNeverEnds(t *testing.T) {
	u, _ := bounded(t)
	u.s.maxLayer = 15
	u.send(http.MethodPost, "/v2/app/blobs/uploads/", "")
	if w := u.send(http.MethodPatch, u.open[0], u.content); w.Code != http.StatusAccepted {
		t.Fatalf("the first chunk is answered %d %s", w.Code, w.Body)
	}
	w := u.send(http.MethodPatch, u.open[0], u.content)
	if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "larger than 15 bytes") {
		t.Errorf("a chunk too many is answered %d %s", w.Code, w.Body)
	}
}

func TestHandler_refusesALargeManifest(t *testing.T) {
	u, _ := bounded(t)
	w := u.send(http.MethodPut, "/v2/app/manifests/v1", strings.Repeat(" ", maxManifest+1))
	if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "the manifest is larger") {
		t.Errorf("it is answered %d %.200s", w.Code, w.Body)
	}
}

func TestHandler_givesUpTheIdlestOfManyUploads(t *testing.T) {
	u, now := bounded(t)
	for range maxUploads + 3 {
		*now = now.Add(time.Second)
		u.send(http.MethodPost, "/v2/app/blobs/uploads/", "")
		if len(u.open) == 2 { // the second is the one that is used again
			*now = now.Add(time.Second)
		}
		u.send(http.MethodPatch, u.open[min(len(u.open)-1, 1)], "x")
	}
	if n := len(u.s.uploads); n != maxUploads {
		t.Errorf("%d uploads are open, want %d", n, maxUploads)
	}
	for i, want := range map[int]int{0: http.StatusNotFound, 1: http.StatusAccepted, maxUploads + 2: http.StatusAccepted} {
		if w := u.send(http.MethodPatch, u.open[i], ""); w.Code != want {
			t.Errorf("upload %d is answered %d, want %d", i, w.Code, want)
		}
	}
	wantFiles(t, u.s.uploadDir(), maxUploads)
}

func TestHandler_namesNoFileOutside(t *testing.T) {
	u, _ := bounded(t)
	outside := filepath.Join(filepath.Dir(u.s.dir), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"app/blobs/../../../secret", "app/blobs/sha256:../../../secret", "app/blobs/sha256:%2e%2e%2f%2e%2e%2fsecret", "../secret/blobs/sha256:x",
		"app/manifests/../../../secret", "app/manifests/..%2f..%2fsecret", "app/blobs/uploads/..%2f..%2fsecret", "%2e%2e/manifests/v1",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			r := httptest.NewRequest(method, "/", strings.NewReader(`{}`))
			r.URL.Path, r.URL.RawPath = "/v2/"+strings.NewReplacer("%2e", ".", "%2f", "/").Replace(path), "/v2/"+path
			r.URL.RawQuery = "digest=sha256:../../secret"
			r.SetBasicAuth(u.s.Credentials())
			w := httptest.NewRecorder()
			u.h.ServeHTTP(w, r)
			if w.Code < 300 || w.Code >= 500 || strings.Contains(w.Body.String(), "secret\n") {
				t.Errorf("%s %s is answered %d %s", method, path, w.Code, w.Body)
			}
		}
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "secret" {
		t.Errorf("the file outside is %q, %v", got, err)
	}
	wantFiles(t, filepath.Dir(u.s.dir), 2)
}
