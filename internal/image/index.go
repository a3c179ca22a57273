package image

import (
	"encoding/json"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// pick chooses the index's entry for the wanted platform. An entry that is
// listed twice is one.
func (r reader) pick(index v1.Hash, raw []byte) (v1.Descriptor, error) {
	var m v1.IndexManifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return v1.Descriptor{}, notRunnable(r.ref, index, fmt.Sprintf("its index cannot be read: %v", err))
	}
	var found []v1.Descriptor
	has := []string{}
	known := map[v1.Hash]bool{}
	for _, e := range m.Manifests {
		if isAttestation(e) {
			continue
		}
		has = append(has, entryName(e))
		p := platformOf(e.Platform)
		if p == nil || !e.MediaType.IsImage() || isArtifact(e) || r.want != (Platform{}) && !p.is(r.want) || known[e.Digest] {
			continue
		}
		known[e.Digest] = true
		found = append(found, e)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return v1.Descriptor{}, r.noPick(index, len(found), has)
}

// noPick says what the index has instead of one image for the platform.
func (r reader) noPick(index v1.Hash, found int, has []string) error {
	what := "no image for " + r.want.String()
	switch {
	case found > 1 && r.want == (Platform{}):
		what = fmt.Sprintf("%d images, and nothing says which is meant", found)
	case found > 1:
		what = fmt.Sprintf("%d images for %s", found, r.want)
	case r.want == (Platform{}):
		what = "no image that names a platform"
	}
	if len(has) == 0 {
		has = []string{"no image at all"}
	}
	f := event.Fail(event.CodePlatformMismatch, fmt.Sprintf("the index of %s has %s", r.ref, what))
	if index != (v1.Hash{}) {
		f.See("index " + index.String())
	}
	f.See("it has: " + strings.Join(has, ", "))
	if r.want == (Platform{}) {
		return f.Hint("name the manifest: repository@sha256:…")
	}
	return f.Hint("push an image for " + r.want.String() + " alone, or name its manifest: repository@sha256:…")
}

// entryName is an index's entry for people.
func entryName(e v1.Descriptor) string {
	p := platformOf(e.Platform)
	switch {
	case e.MediaType.IsIndex():
		return "another index"
	case e.MediaType.IsSchema1():
		return "an image of Docker's schema 1"
	case isArtifact(e):
		return "an artifact of type " + e.ArtifactType
	case !e.MediaType.IsImage():
		return "something of media type " + string(e.MediaType)
	case p == nil:
		return "an image that names no platform"
	}
	return p.String()
}

// isAttestation recognises entries that describe another one: BuildKit gives
// them the platform unknown/unknown and an annotation.
func isAttestation(e v1.Descriptor) bool {
	return e.Annotations["vnd.docker.reference.type"] != "" ||
		e.Platform != nil && e.Platform.OS == "unknown" && e.Platform.Architecture == "unknown"
}

// isArtifact recognises signatures, charts and the like. Some builders name the
// config's type as an image's artifact type.
func isArtifact(e v1.Descriptor) bool {
	t := types.MediaType(e.ArtifactType)
	return t != "" && !t.IsConfig() && !t.IsImage()
}
