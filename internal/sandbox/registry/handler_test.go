package registry

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestHandler_login(t *testing.T) {
	s := serve(t, "")
	user, password := s.Credentials()
	tests := map[string]struct {
		user, password string
		status         int
	}{
		"the token":      {user, password, 200},
		"another token":  {user, "other", 401},
		"another user":   {"root", password, 401},
		"no credentials": {"", "", 401},
	}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.host+"/v2/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.user != "" {
				r.SetBasicAuth(test.user, test.password)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != test.status {
				t.Errorf("status is %d, want %d", answer.StatusCode, test.status)
			}
			if challenge := answer.Header.Get("Www-Authenticate"); (challenge != "") != (test.status == 401) {
				t.Errorf("challenge is %q", challenge)
			}
		})
	}
}

// send does a raw registry request.
func (s *served) send(t *testing.T, method, path, contentType string, body []byte) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.host+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(s.Credentials())
	r.Header.Set("Content-Type", contentType)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func TestHandler_mount(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "from", false)
	s.repository(t, "to", false)
	image := randomImage(t, "linux", "amd64")
	mustPush(t, s, "from:v1", image)
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	d := digestOf(t, layers[0])

	answer, _ := s.send(t, http.MethodHead, "/v2/to/blobs/"+d, "", nil)
	if answer.StatusCode != 404 {
		t.Errorf("before the mount the layer is visible: %d", answer.StatusCode)
	}
	answer, _ = s.send(t, http.MethodPost, "/v2/to/blobs/uploads/?mount="+url.QueryEscape(d)+"&from=from", "", nil)
	if answer.StatusCode != 201 {
		t.Errorf("mount answers %d, want 201", answer.StatusCode)
	}
	answer, _ = s.send(t, http.MethodHead, "/v2/to/blobs/"+d, "", nil)
	if answer.StatusCode != 200 {
		t.Errorf("after the mount the layer is not visible: %d", answer.StatusCode)
	}
	unknown := "sha256:" + strings.Repeat("0", 64)
	answer, _ = s.send(t, http.MethodPost, "/v2/to/blobs/uploads/?mount="+unknown+"&from=from", "", nil)
	if answer.StatusCode != 202 || answer.Header.Get("Location") == "" {
		t.Errorf("mount of an unknown layer answers %d, want 202 and where to upload", answer.StatusCode)
	}
}

func TestHandler_badUploads(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	s.repository(t, "app", false)
	start := func() string {
		answer, _ := s.send(t, http.MethodPost, "/v2/app/blobs/uploads/", "", nil)
		if answer.StatusCode != 202 {
			t.Fatalf("start of an upload answers %d", answer.StatusCode)
		}
		return answer.Header.Get("Location")
	}
	zero := "sha256:" + strings.Repeat("0", 64)
	for what, test := range map[string]struct {
		method, path string
		body         string
		status       int
	}{
		"a digest that does not match":    {http.MethodPut, start() + "?digest=" + zero, "hello", 400},
		"a digest that is a path":         {http.MethodPut, start() + "?digest=" + url.QueryEscape("sha256:../../etc/passwd"), "hello", 400},
		"an upload that does not exist":   {http.MethodPatch, "/v2/app/blobs/uploads/" + base64.RawURLEncoding.EncodeToString([]byte("nosuch")), "hello", 404},
		"a manifest that is not JSON":     {http.MethodPut, "/v2/app/manifests/v1", "hello", 400},
		"a manifest without config":       {http.MethodPut, "/v2/app/manifests/v1", `{"schemaVersion":2}`, 400},
		"a manifest of schema version 1":  {http.MethodPut, "/v2/app/manifests/v1", `{"schemaVersion":1,"config":{}}`, 400},
		"a manifest of unknown layers":    {http.MethodPut, "/v2/app/manifests/v1", `{"schemaVersion":2,"config":{"digest":"` + zero + `"},"layers":[]}`, 404},
		"an index of unknown images":      {http.MethodPut, "/v2/app/manifests/v1", `{"schemaVersion":2,"manifests":[{"digest":"` + zero + `"}]}`, 404},
		"a manifest with a path as layer": {http.MethodPut, "/v2/app/manifests/v1", `{"schemaVersion":2,"config":{"digest":"sha256:../x"},"layers":[]}`, 404},
		"another digest than the content": {http.MethodPut, "/v2/app/manifests/" + zero, `{}`, 400},
	} {
		t.Run(what, func(t *testing.T) {
			answer, body := s.send(t, test.method, test.path, "application/vnd.oci.image.manifest.v1+json", []byte(test.body))
			if answer.StatusCode != test.status {
				t.Errorf("answers %d %s, want %d", answer.StatusCode, body, test.status)
			}
		})
	}
	wantFiles(t, filepath.Join(dir, "blobs", "sha256"), 0)
}

func TestHandler_manifestTooLarge(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	answer, _ := s.send(t, http.MethodPut, "/v2/app/manifests/v1", "application/json", make([]byte, maxManifest+1))
	if answer.StatusCode != 413 {
		t.Errorf("a manifest of %d bytes answers %d, want 413", maxManifest+1, answer.StatusCode)
	}
}

func TestHandler_deletes(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	image := randomImage(t, "linux", "amd64")
	d := mustPush(t, s, "app:v1", image)
	if err := remote.Delete(s.ref(t, "app:v1"), remote.WithAuth(s.auth)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve("app", d, "linux", "amd64"); err != nil {
		t.Errorf("deleting a tag deleted the image: %v", err)
	}
	if err := remote.Delete(s.ref(t, "app@"+d), remote.WithAuth(s.auth)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve("app", d, "linux", "amd64"); !errors.Is(err, ErrReference) {
		t.Errorf("the deleted image resolves: %v", err)
	}
}
