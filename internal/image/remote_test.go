package image

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
)

// server is a registry on loopback; it returns the host.
func server(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// Docker Desktop's name for this machine leads to its loopback, by plain HTTP,
// wherever the name itself leads.
func TestRemote_ReadsFromThisMachineByTheNameThatDockerDesktopHasForIt(t *testing.T) {
	hosts := make(chan string, 10)
	_, port, _ := strings.Cut(server(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hosts <- r.Host
			h.ServeHTTP(w, r)
		})
	}), ":")
	_, err := NewRemote(engine.Auth{}, nil).Describe(t.Context(), "host.docker.internal:"+port+"/app:v1", Platform{})
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("Describe = %v, want ErrNotFound from the registry", err)
	}
	if host := <-hosts; host != "host.docker.internal:"+port {
		t.Errorf("the registry is called %s", host)
	}
}

func tiny(t *testing.T, arch string, labels map[string]string) v1.Image {
	t.Helper()
	return enginetest.Image{Files: map[string][]byte{"/arch": []byte(arch)}, Arch: arch, Config: v1.Config{Labels: labels}}.Build(t)
}

// entry is an image in an index.
type entry struct {
	image    mutate.Appendable
	platform *v1.Platform
	notes    map[string]string
}

func index(entries ...entry) v1.ImageIndex {
	ii := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, e := range entries {
		ii = mutate.AppendManifests(ii, mutate.IndexAddendum{Add: e.image, Descriptor: v1.Descriptor{Platform: e.platform, Annotations: e.notes}})
	}
	return ii
}

func parse(t *testing.T, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDescribe_Image(t *testing.T) {
	ref := server(t, nil) + "/weelo/backend:v1"
	img := tiny(t, "amd64", map[string]string{"a": "b"})
	if err := remote.Write(parse(t, ref), img); err != nil {
		t.Fatal(err)
	}
	d, err := NewRemote(engine.Auth{}, nil).Describe(t.Context(), ref, amd64)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if d.Digest != digest.String() || d.ConfigDigest != config.String() || d.Index != "" || d.Descriptor != nil || d.Config != amd64 ||
		d.Labels["a"] != "b" || len(d.Layers) != 1 || d.Size == 0 || d.MediaType != string(types.DockerManifestSchema2) {
		t.Errorf("Describe = %+v", d)
	}
	byDigest, err := NewRemote(engine.Auth{}, nil).Describe(t.Context(), parse(t, ref).Context().Name()+"@"+d.Digest, amd64)
	if err != nil || byDigest.Digest != d.Digest {
		t.Errorf("Describe by digest = %+v, %v", byDigest, err)
	}
}

func TestDescribe_Index(t *testing.T) {
	host := server(t, nil)
	amd, arm := tiny(t, "amd64", nil), tiny(t, "arm64", nil)
	linux := func(arch, variant string) *v1.Platform {
		return &v1.Platform{OS: "linux", Architecture: arch, Variant: variant}
	}
	unknown := entry{amd, &v1.Platform{OS: "unknown", Architecture: "unknown"}, map[string]string{"vnd.docker.reference.type": "attestation-manifest"}}
	for _, c := range []struct {
		name  string
		index v1.ImageIndex
		want  Platform
		image v1.Image // the one that is found
		err   []string // what the refusal says
	}{
		{"the platform among others", index(entry{image: arm, platform: linux("arm64", "v8")}, entry{image: amd, platform: linux("amd64", "")}), amd64, amd, nil},
		{"a variant that is the usual one", index(entry{image: arm, platform: linux("arm64", "v8")}), arm64, arm, nil},
		{"an attestation is no candidate", index(entry{image: amd, platform: linux("amd64", "")}, unknown), amd64, amd, nil},
		{"one image, nothing wanted", index(entry{image: arm, platform: linux("arm64", "")}, unknown), Platform{}, arm, nil},
		{"the entry lies, for Judge to tell", index(entry{image: arm, platform: linux("amd64", "")}), amd64, arm, nil},
		{"without the platform", index(entry{image: arm, platform: linux("arm64", "")}), amd64, nil, []string{"has no image for linux/amd64", "it has: linux/arm64"}},
		{"two candidates", index(entry{image: amd, platform: linux("amd64", "")}, entry{image: arm, platform: linux("amd64", "")}), amd64, nil, []string{"has 2 images for linux/amd64"}},
		{"a newer variant only", index(entry{image: amd, platform: linux("amd64", "v3")}), amd64, nil, []string{"no image for linux/amd64", "it has: linux/amd64/v3"}},
		{"attestations only", index(unknown), amd64, nil, []string{"no image for linux/amd64", "no image at all"}},
		{"empty", index(), amd64, nil, []string{"no image at all"}},
		{"an entry without a platform", index(entry{image: amd}), amd64, nil, []string{"an image that names no platform"}},
		{"nested", index(entry{image: index(entry{image: amd, platform: linux("amd64", "")}), platform: linux("amd64", "")}), amd64, nil, []string{"another index"}},
		{"several images, nothing wanted", index(entry{image: amd, platform: linux("amd64", "")}, entry{image: arm, platform: linux("arm64", "")}), Platform{}, nil, []string{"nothing says which"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := host + "/i:t" + strings.ReplaceAll(c.name, " ", "-")
			ref = strings.ReplaceAll(ref, ",", "")
			if err := remote.WriteIndex(parse(t, ref), c.index); err != nil {
				t.Fatal(err)
			}
			top, err := c.index.Digest()
			if err != nil {
				t.Fatal(err)
			}
			d, err := NewRemote(engine.Auth{}, nil).Describe(t.Context(), ref, c.want)
			if c.image != nil {
				want, derr := c.image.Digest()
				if derr != nil {
					t.Fatal(derr)
				}
				if err != nil || d.Digest != want.String() || d.Index != top.String() || d.Descriptor == nil {
					t.Errorf("Describe = %+v, %v; want %s of %s", d, err, want, top)
				}
				return
			}
			f := event.FailuresOf(err)[0]
			told := f.Message + "\n" + strings.Join(f.Evidence, "\n")
			if f.Code != event.CodePlatformMismatch || !strings.Contains(told, top.String()) {
				t.Errorf("Describe = %v, want PLATFORM_MISMATCH of %s", err, top)
			}
			for _, w := range c.err {
				if !strings.Contains(told, w) {
					t.Errorf("Describe does not say %q:\n%s", w, told)
				}
			}
		})
	}
}

func TestDescribe_WhatIsNoImage(t *testing.T) {
	host := server(t, nil)
	chart := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json")
	if err := remote.Write(parse(t, host+"/chart:1"), chart); err != nil {
		t.Fatal(err)
	}
	_, err := NewRemote(engine.Auth{}, nil).Describe(t.Context(), host+"/chart:1", amd64)
	if f := event.FailuresOf(err)[0]; f.Code != event.CodePlatformMismatch || !strings.Contains(f.Message, "helm") {
		t.Errorf("Describe of a chart = %v", err)
	}
	old := server(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", string(types.DockerManifestSchema1Signed))
			w.Write([]byte(`{"schemaVersion":1}`))
		})
	})
	_, err = NewRemote(engine.Auth{}, nil).Describe(t.Context(), old+"/x:1", amd64)
	if f := event.FailuresOf(err)[0]; f.Code != event.CodePlatformMismatch || !strings.Contains(f.Message, "v1+prettyjws") {
		t.Errorf("Describe of a schema 1 image = %v", err)
	}
}

func TestDescribe_Refusals(t *testing.T) {
	host := server(t, nil)
	r := NewRemote(engine.Auth{}, nil)
	if _, err := r.Describe(t.Context(), host+"/none:1", amd64); !errors.Is(err, ErrNotFound) {
		t.Errorf("Describe of nothing = %v, want ErrNotFound", err)
	}
	if _, err := r.Describe(t.Context(), "no reference", amd64); err == nil || !strings.Contains(err.Error(), `"no reference"`) {
		t.Errorf("Describe of nonsense = %v", err)
	}
	closed := server(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, p, ok := r.BasicAuth(); ok && u == "AWS" && p == "right" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
	})
	for password, want := range map[string]func(error) bool{
		"wrong": func(err error) bool { return event.FailuresOf(err)[0].Code == event.CodeAccessDenied },
		"right": func(err error) bool { return errors.Is(err, ErrNotFound) },
	} {
		_, err := NewRemote(engine.Auth{Username: "AWS", Password: password}, nil).Describe(t.Context(), closed+"/x:1", amd64)
		if !want(err) || strings.Contains(err.Error(), password) {
			t.Errorf("Describe with the %s password = %v", password, err)
		}
	}
}

func TestDescribe_LossyRegistry(t *testing.T) {
	img := tiny(t, "amd64", nil)
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	host := server(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, config.String()) {
				w.Write([]byte(`{"os":"linux","architecture":"arm64"}`)) // another config under the same name
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	if err := remote.Write(parse(t, host+"/x:1"), img); err != nil {
		t.Fatal(err)
	}
	if d, err := NewRemote(engine.Auth{}, nil).Describe(t.Context(), host+"/x:1", amd64); err == nil {
		t.Errorf("Describe believes a config that is not what its digest says: %+v", d)
	}
}

// roundTrip is a transport that records and refuses.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRemote_PlainHTTPOnlyOnThisMachine(t *testing.T) {
	for host, plain := range map[string]bool{"10.1.2.3:5000": false, "registry.local:5000": false, "127.0.0.1:5000": true, "localhost:5000": true} {
		var schemes []string
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			schemes = append(schemes, r.URL.Scheme)
			return nil, errors.New("no network here")
		})
		if _, err := NewRemote(engine.Auth{}, rt).Describe(t.Context(), host+"/x:1", amd64); err == nil {
			t.Errorf("Describe on %s: no error", host)
		}
		if got := slices.Contains(schemes, "http"); got != plain {
			t.Errorf("plain http with %s: %v, want %v (%v)", host, got, plain, schemes)
		}
	}
}
