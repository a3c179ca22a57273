package registry

import (
	"errors"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestStore_Resolve(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	amd, arm := randomImage(t, "linux", "amd64"), randomImage(t, "linux", "arm64")
	mustPush(t, s, "app:amd", amd)
	mustPush(t, s, "app:arm", arm)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: randomImage(t, "unknown", "unknown"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	if err := remote.WriteIndex(s.ref(t, "app:both"), index, remote.WithAuth(s.auth)); err != nil {
		t.Fatal(err)
	}
	amdDigest := digestOf(t, amd)
	for what, test := range map[string]struct {
		ref, arch string
		want      Resolved
	}{
		"by tag":             {"amd", "amd64", Resolved{amdDigest, amdDigest, "linux", "amd64"}},
		"by digest":          {amdDigest, "amd64", Resolved{amdDigest, amdDigest, "linux", "amd64"}},
		"an index":           {"both", "amd64", Resolved{digestOf(t, index), amdDigest, "linux", "amd64"}},
		"on no platform yet": {"amd", "", Resolved{amdDigest, amdDigest, "linux", "amd64"}},
	} {
		t.Run(what, func(t *testing.T) {
			got, err := s.Resolve("app", test.ref, "linux", test.arch)
			if err != nil || got != test.want {
				t.Errorf("Resolve(%s) = %+v, %v\nwant %+v", test.ref, got, err, test.want)
			}
		})
	}
}

func TestStore_Resolve_fails(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	arm := randomImage(t, "linux", "arm64")
	mustPush(t, s, "app:arm", arm)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
	if err := remote.WriteIndex(s.ref(t, "app:index"), index, remote.WithAuth(s.auth)); err != nil {
		t.Fatal(err)
	}
	if err := s.Record("app", "sha256:"+strings.Repeat("1", 64), []string{"gone"}); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		repo, ref string
		want      error
	}{
		"no repository":  {"nosuch", "arm", ErrRepository},
		"no tag":         {"app", "v9", ErrReference},
		"a mere record":  {"app", "gone", ErrReference},
		"no such digest": {"app", "sha256:" + strings.Repeat("0", 64), ErrReference},
	} {
		t.Run(what, func(t *testing.T) {
			if got, err := s.Resolve(test.repo, test.ref, "linux", "amd64"); !errors.Is(err, test.want) {
				t.Errorf("Resolve = %+v, %v; want %v", got, err, test.want)
			}
		})
	}
	for _, ref := range []string{"arm", "index"} {
		_, err := s.Resolve("app", ref, "linux", "amd64")
		var platform *PlatformError
		if !errors.As(err, &platform) || platform.Want != "linux/amd64" || len(platform.Have) != 1 || platform.Have[0] != "linux/arm64" {
			t.Errorf("Resolve(%s) = %v, want a PlatformError with linux/arm64", ref, err)
		}
	}
	layers, err := arm.Layers()
	if err != nil {
		t.Fatal(err)
	}
	path, err := s.blobPath(digestOf(t, layers[1]))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve("app", "arm", "linux", "arm64"); !errors.Is(err, ErrLayer) {
		t.Errorf("Resolve of an image without a layer = %v, want ErrLayer", err)
	}
}
