package build

import (
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	bkclient "github.com/moby/buildkit/client"

	"github.com/weelo/weelo-deploy/internal/event"
)

// readCaches reads where the build's cache comes from and goes to, as
// `docker build --cache-from` and `--cache-to` take it: an image's reference or
// "type=registry,ref=REFERENCE" to read from, "inline" or "type=inline" to write
// into the image itself.
func readCaches(from, to []string) (imports, exports []bkclient.CacheOptionsEntry, err error) {
	var errs []error
	for _, s := range from {
		e, err := cacheSource(s)
		if err != nil {
			errs = append(errs, event.Fail(event.CodeUsage, fmt.Sprintf("build.cacheFrom %q", s)).Because(err).
				Hint("an image's reference, such as the repository's latest release"))
			continue
		}
		imports = append(imports, e)
	}
	for _, s := range to {
		if s != "inline" && s != "type=inline" {
			errs = append(errs, event.Fail(event.CodeUsage, fmt.Sprintf("build.cacheTo %q is not supported", s)).
				Hint("inline keeps the cache in the image; an engine writes no other kind"))
			continue
		}
		exports = []bkclient.CacheOptionsEntry{{Type: "inline"}}
	}
	return imports, exports, errors.Join(errs...)
}

func cacheSource(s string) (bkclient.CacheOptionsEntry, error) {
	attrs := map[string]string{"type": "registry", "ref": s}
	if strings.Contains(s, "=") {
		attrs = map[string]string{}
		for kv := range strings.SplitSeq(s, ",") {
			k, v, _ := strings.Cut(kv, "=")
			attrs[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	if attrs["type"] != "registry" {
		return bkclient.CacheOptionsEntry{}, fmt.Errorf("type %q is not supported, only registry", attrs["type"])
	}
	named, err := reference.ParseNormalizedNamed(attrs["ref"])
	if err != nil {
		return bkclient.CacheOptionsEntry{}, err
	}
	return bkclient.CacheOptionsEntry{Type: "registry", Attrs: map[string]string{"ref": reference.TagNameOnly(named).String()}}, nil
}
