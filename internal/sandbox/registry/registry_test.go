package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

const (
	account = "000000000000"
	region  = "us-east-1"
)

// served is a store behind an HTTP server, as the sandbox serves it.
type served struct {
	*Store
	host string
	auth authn.Authenticator
}

func serve(t *testing.T, dir string, options ...Option) *served {
	t.Helper()
	s, err := Open(dir, account, region, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	var host string
	api := &awsjson.Mux{}
	api.Add("ecr", s.ECR(func() string { return host }))
	mux := http.NewServeMux()
	mux.Handle("/v2/", s.Handler())
	mux.Handle("/", api)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	host = strings.TrimPrefix(server.URL, "http://")
	user, password := s.Credentials()
	return &served{s, host, &authn.Basic{Username: user, Password: password}}
}

func (s *served) repository(t *testing.T, name string, immutable bool) {
	t.Helper()
	if err := s.CreateRepository(name, immutable); err != nil {
		t.Fatal(err)
	}
}

func (s *served) ref(t *testing.T, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(s.host+"/"+ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *served) push(t *testing.T, ref string, image v1.Image) error {
	t.Helper()
	return remote.Write(s.ref(t, ref), image, remote.WithAuth(s.auth), remote.WithContext(t.Context()), remote.WithRetryPredicate(never))
}

func never(error) bool { return false }

// randomImage is an image for a platform with random layers.
func randomImage(t *testing.T, os, arch string) v1.Image {
	t.Helper()
	image, err := random.Image(4096, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = os, arch
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func digestOf(t *testing.T, i interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	d, err := i.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func mustPush(t *testing.T, s *served, ref string, image v1.Image) string {
	t.Helper()
	if err := s.push(t, ref, image); err != nil {
		t.Fatalf("push %s: %v", ref, err)
	}
	return digestOf(t, image)
}

func TestStore_pushAndPull(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "team/app", false)
	image := randomImage(t, "linux", "amd64")
	want := mustPush(t, s, "team/app:v1", image)
	for _, ref := range []string{"team/app:v1", "team/app@" + want} {
		got, err := remote.Image(s.ref(t, ref), remote.WithAuth(s.auth))
		if err != nil {
			t.Fatal(err)
		}
		if digestOf(t, got) != want {
			t.Errorf("pull of %s gives %s, want %s", ref, digestOf(t, got), want)
		}
		layers, err := got.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range layers {
			r, err := l.Uncompressed() // ggcr checks the digest while it reads
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("read layer: %v", err)
			}
		}
	}
	tags, err := remote.List(s.ref(t, "team/app").Context(), remote.WithAuth(s.auth))
	if err != nil || len(tags) != 1 || tags[0] != "v1" {
		t.Errorf("tags are %v, %v; want v1", tags, err)
	}
	repos, err := remote.Catalog(t.Context(), s.ref(t, "x").Context().Registry, remote.WithAuth(s.auth))
	if err != nil || len(repos) != 1 || repos[0] != "team/app" {
		t.Errorf("catalog is %v, %v; want team/app", repos, err)
	}
}

func TestStore_pushAgain(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "locked", true)
	image := randomImage(t, "linux", "amd64")
	mustPush(t, s, "locked:v1", image)
	mustPush(t, s, "locked:v1", image) // the same image under the same tag is fine
	err := s.push(t, "locked:v1", randomImage(t, "linux", "amd64"))
	wantRegistryError(t, err, 400, "TAG_INVALID",
		"The image tag 'v1' already exists in the 'locked' repository and cannot be overwritten because the repository is immutable.")
	if got, err := s.Resolve("locked", "v1", "linux", "amd64"); err != nil || got.Digest != digestOf(t, image) {
		t.Errorf("after the refused push v1 is %+v, %v", got, err)
	}
}

func TestStore_pushRefused(t *testing.T) {
	var refusal atomic.Value // of an error; a push that was refused has other requests under way
	refuse := func(err error) { refusal.Store(&err) }
	refuse(nil)
	s := serve(t, "", WithGate(func(a Action, _ string) error {
		if a == Push {
			return *refusal.Load().(*error)
		}
		return nil
	}))
	s.repository(t, "app", false)
	image := randomImage(t, "linux", "amd64")

	wantRegistryError(t, s.push(t, "nosuch:v1", image), 404, "NAME_UNKNOWN",
		"The repository with name 'nosuch' does not exist in the registry with id '000000000000'")

	refuse(ErrDenied)
	err := s.push(t, "app:v1", image)
	wantRegistryError(t, err, 403, "DENIED", "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:us-east-1:000000000000:repository/app because no identity-based policy allows the ecr:InitiateLayerUpload action")

	refuse(ErrNoSpace)
	wantRegistryError(t, s.push(t, "app:v1", image), 400, "UNSUPPORTED", "The registry cannot store the image: no space left on device")

	refuse(ErrUnavailable)
	wantRegistryError(t, s.push(t, "app:v1", image), 503, "UNAVAILABLE", "Service Unavailable")
	if _, err := s.Resolve("app", "v1", "", ""); !errors.Is(err, ErrReference) {
		t.Errorf("after refused pushes v1 is there: %v", err)
	}
}

func wantRegistryError(t *testing.T, err error, status int, code, message string) {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) || len(e.Errors) != 1 {
		t.Errorf("error is %v, want a registry error", err)
		return
	}
	if got := e.Errors[0]; e.StatusCode != status || string(got.Code) != code || got.Message != message {
		t.Errorf("error is %d %s %q\nwant     %d %s %q", e.StatusCode, got.Code, got.Message, status, code, message)
	}
}

func TestStore_pullRefused(t *testing.T) {
	denied := false
	s := serve(t, "", WithGate(func(a Action, _ string) error {
		if denied && a == Pull {
			return ErrDenied
		}
		return nil
	}))
	s.repository(t, "app", false)
	mustPush(t, s, "app:v1", randomImage(t, "linux", "amd64"))
	denied = true
	_, err := remote.Image(s.ref(t, "app:v1"), remote.WithAuth(s.auth))
	var e *transport.Error
	if !errors.As(err, &e) || e.StatusCode != 403 {
		t.Errorf("pull = %v, want 403", err)
	}
	_, err = s.Resolve("app", "v1", "linux", "amd64")
	if !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "ecr:BatchGetImage") {
		t.Errorf("Resolve = %v, want ErrDenied that names the action", err)
	}
}

func wantFiles(t *testing.T, dir string, want int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != want {
		t.Errorf("%s has %d files, want %d", dir, len(files), want)
	}
}

func TestStore_survivesRestart(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	s.repository(t, "app", true)
	image := randomImage(t, "linux", "amd64")
	mustPush(t, s, "app:v1", image)
	if err := s.putBlob("app", []byte("an orphan")); err != nil {
		t.Fatal(err)
	}
	s.Close()

	again := serve(t, dir)
	got, err := again.Resolve("app", "v1", "linux", "amd64")
	if err != nil || got.Digest != digestOf(t, image) {
		t.Errorf("after a restart v1 is %+v, %v", got, err)
	}
	if err := again.push(t, "app:v1", randomImage(t, "linux", "amd64")); err == nil {
		t.Error("after a restart the repository is not immutable any more")
	}
	if again.blobSize("sha256:"+fmt.Sprintf("%x", sha256Sum("an orphan"))) >= 0 {
		t.Error("a blob that no image uses is kept over a restart")
	}
}

func TestStore_deletes(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	s.repository(t, "app", false)
	s.repository(t, "other", false)
	one, two := randomImage(t, "linux", "amd64"), randomImage(t, "linux", "amd64")
	mustPush(t, s, "app:one", one)
	mustPush(t, s, "app:two", two)
	mustPush(t, s, "other:one", one)

	if n := s.DeleteImage("app:one"); n != 1 {
		t.Errorf("DeleteImage of a tag removed %d images, want 1", n)
	}
	if _, err := s.Resolve("app", "one", "linux", "amd64"); !errors.Is(err, ErrReference) {
		t.Errorf("the deleted image resolves: %v", err)
	}
	if _, err := s.Resolve("other", "one", "linux", "amd64"); err != nil {
		t.Errorf("the other repository lost its image: %v", err)
	}
	if n := s.DeleteImage("other@" + digestOf(t, one)); n != 1 {
		t.Errorf("DeleteImage of a digest removed %d images, want 1", n)
	}
	if n := s.DeleteImage("app"); n != 1 {
		t.Errorf("DeleteImage of a repository removed %d images, want 1", n)
	}
	if n := s.DeleteImage("nosuch"); n != 0 {
		t.Errorf("DeleteImage of no repository removed %d images", n)
	}
	wantFiles(t, filepath.Join(dir, "blobs", "sha256"), 0)
	mustPush(t, s, "app:one", one) // and all of it can be pushed again
}

func TestStore_PutTiny(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	files := map[string][]byte{"/bin/app": []byte("program"), "etc/conf": []byte("x")}
	cfg := TinyConfig{Entrypoint: []string{"/bin/app"}, Cmd: []string{"-v"}, Arch: "arm64", StopSignal: "SIGINT", Labels: map[string]string{"a": "b"}}
	d, err := s.PutTiny("app", "v1", files, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.PutTiny("app", "v2", files, cfg); err != nil || again != d {
		t.Errorf("the same image again has digest %s, %v; want %s", again, err, d)
	}
	image, err := remote.Image(s.ref(t, "app:v1"), remote.WithAuth(s.auth), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "arm64"}))
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Architecture != "arm64" || config.OS != "linux" || config.Config.Entrypoint[0] != "/bin/app" || config.Config.StopSignal != "SIGINT" {
		t.Errorf("config is %+v", config)
	}
	got := extract(t, image)
	if len(got) != 2 || got["bin/app"] != "program" || got["etc/conf"] != "x" {
		t.Errorf("files are %v", got)
	}
}
