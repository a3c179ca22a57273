package registry

import (
	"net/http"
	"net/http/httptest"
	"net/url"
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
