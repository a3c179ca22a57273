package registry

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
)

// FuzzHandler sends requests that no client makes. The registry must answer each
// of them, and never as its own fault.
func FuzzHandler(f *testing.F) {
	f.Add("GET", "app/manifests/v1", "", "")
	f.Add("PUT", "app/manifests/v1", "", `{"schemaVersion":2,"config":{"digest":"sha256:0"},"layers":[{"digest":"","urls":["x"]}]}`)
	f.Add("POST", "app/blobs/uploads/", "mount=sha256:0&from=app", "")
	f.Add("POST", "app/blobs/uploads/", "digest=sha256:0", "x")
	f.Add("PATCH", "app/blobs/uploads/YQ", "", "x")
	f.Add("GET", "app/tags/list", "n=5&last=a", "")
	f.Add("GET", "app/referrers/sha256:0", "artifactType=x", "")
	f.Add("DELETE", "app/blobs/sha256:0", "", "")
	f.Add("GET", "_catalog", "n=-1", "")
	s, err := Open(f.TempDir(), account, region)
	if err != nil {
		f.Fatal(err)
	}
	if err := s.CreateRepository("app", true); err != nil {
		f.Fatal(err)
	}
	if _, err := s.PutTiny("app", "v1", map[string][]byte{"a": []byte("b")}, TinyConfig{}); err != nil {
		f.Fatal(err)
	}
	handler := s.Handler()
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		r := httptest.NewRequest(http.MethodGet, "/v2/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: "/v2/" + path, RawQuery: query}
		r.SetBasicAuth(s.Credentials())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code < 200 || w.Code >= 500 && !strings.Contains(w.Body.String(), "UNSUPPORTED") {
			t.Errorf("%s %q ? %q answers %d %s", method, path, query, w.Code, w.Body)
		}
	})
}

// FuzzUploads sends requests of uploads in any order: each byte of the plan is one,
// with what came back before. Whatever is called stored must be what was sent, and
// nothing may be left when all is over.
func FuzzUploads(f *testing.F) {
	f.Add([]byte{0, 1, 2}, "content")
	f.Add([]byte{0, 1, 1, 3, 2, 2}, "twice")
	f.Add([]byte{0, 0, 1, 4, 1, 5, 2, 6, 7}, "two uploads")
	f.Add([]byte{8, 9, 10, 11, 0, 12, 2}, "")
	f.Fuzz(func(t *testing.T, plan []byte, content string) {
		s, err := Open("", account, region)
		if err != nil {
			t.Fatal(err)
		}
		u := &uploads{t: t, s: s, h: s.Handler(), content: content, digest: "sha256:" + fmt.Sprintf("%x", sha256.Sum256([]byte(content)))}
		if err := s.CreateRepository("app", false); err != nil {
			t.Fatal(err)
		}
		for _, step := range plan[:min(len(plan), 64)] {
			u.step(step)
		}
		if w := u.send(http.MethodGet, "/v2/app/blobs/"+u.digest, ""); w.Code == http.StatusOK && w.Body.String() != content {
			t.Errorf("the blob is %q, not %q", w.Body, content)
		}
		for _, at := range u.open {
			u.send(http.MethodDelete, at, "")
		}
		if len(s.uploads) > len(u.open) {
			t.Errorf("%d uploads are open, %d were begun", len(s.uploads), len(u.open))
		}
		dir := s.dir
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	})
}

// uploads is a client that has lost its way.
type uploads struct {
	t               *testing.T
	s               *Store
	h               http.Handler
	content, digest string
	open            []string // locations that were given
}

func (u *uploads) send(method, target, body string, header ...string) *httptest.ResponseRecorder {
	u.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1"+target, strings.NewReader(body))
	r.SetBasicAuth(u.s.Credentials())
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	u.h.ServeHTTP(w, r)
	if w.Code < 200 || w.Code >= 500 && !strings.Contains(w.Body.String(), "UNSUPPORTED") {
		u.t.Errorf("%s %s %q answers %d %s", method, target, header, w.Code, w.Body)
	}
	if at := w.Header().Get("Location"); method == http.MethodPost && w.Code == http.StatusAccepted {
		u.open = append(u.open, at)
	}
	return w
}

// step makes one request: the low bits say which, the high ones to which upload.
func (u *uploads) step(b byte) {
	at := "/v2/app/blobs/uploads/none"
	if len(u.open) > 0 {
		at = u.open[int(b>>4)%len(u.open)]
	}
	half := len(u.content) / 2
	switch b & 15 {
	case 0:
		u.send(http.MethodPost, "/v2/app/blobs/uploads/", "")
	case 1:
		u.send(http.MethodPatch, at, u.content)
	case 2:
		u.send(http.MethodPut, at+"?digest="+u.digest, "")
	case 3:
		u.send(http.MethodPut, at+"?digest="+u.digest, u.content)
	case 4:
		u.send(http.MethodPatch, at, u.content[:half], "Content-Range", fmt.Sprintf("0-%d", half-1))
	case 5:
		u.send(http.MethodPatch, at, u.content[half:], "Content-Range", fmt.Sprintf("%d-%d", half, len(u.content)-1))
	case 6:
		u.send(http.MethodGet, at, "")
	case 7:
		u.send(http.MethodDelete, at, "")
	case 8:
		u.send(http.MethodPost, "/v2/app/blobs/uploads/?digest="+u.digest, u.content)
	case 9:
		u.send(http.MethodPost, "/v2/app/blobs/uploads/?mount="+u.digest+"&from=app", "")
	case 10:
		u.send(http.MethodPut, at+"?digest=sha256:../../../etc/passwd", u.content)
	case 11:
		u.send(http.MethodPatch, at, "x", "Content-Range", "9223372036854775807-9223372036854775807")
	case 12:
		u.send(http.MethodDelete, "/v2/app/blobs/"+u.digest, "")
	case 13:
		u.send(http.MethodPost, "/v2/other/blobs/uploads/", "")
	case 14:
		u.send(http.MethodPatch, at, u.content, "Content-Range", "bytes */*")
	default:
		u.send(http.MethodPut, "/v2/app/manifests/v1", `{"schemaVersion":2,"config":{"digest":"`+u.digest+`"},"layers":[{"digest":"`+u.digest+`"}]}`)
	}
}
