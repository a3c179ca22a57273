package image

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// layerTypes are the media types of layers and how they are compressed (OCI image
// specification, layer.md; Docker's image manifest version 2, schema 2).
var layerTypes = map[types.MediaType]string{
	types.DockerLayer:                                   "gzip",
	types.DockerUncompressedLayer:                       "none",
	"application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
	types.OCILayer:                                      "gzip",
	types.OCILayerZStd:                                  "zstd",
	types.OCIUncompressedLayer:                          "none",

	types.DockerForeignLayer:                                       "gzip",
	types.OCIRestrictedLayer:                                       "gzip",
	types.OCIUncompressedRestrictedLayer:                           "none",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
	"application/vnd.docker.image.rootfs.foreign.diff.tar":         "none",
	"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd":    "zstd",
}

// isForeign recognises layers that are not pushed with their image.
func isForeign(t types.MediaType) bool {
	return strings.Contains(string(t), ".foreign.") || strings.Contains(string(t), ".nondistributable.")
}

// judgeLayers finds what ECS cannot unpack. An image in an engine lists no layers,
// and is not judged by them.
func (d Description) judgeLayers() []error {
	if d.Layers == nil && d.DiffIDs == nil {
		return nil
	}
	var errs []error
	var compressions []string
	for i, l := range d.Layers {
		c, known := layerTypes[types.MediaType(l.MediaType)]
		switch {
		case l.Foreign:
			errs = append(errs, d.lie("layer %d of image %s is foreign: its bytes are not in the registry", i+1, d.Reference).
				See("layer "+l.Digest+" of media type "+l.MediaType).
				Hint("base images of Windows have such layers; build on a base image for Linux"))
		case l.MediaType == "":
		case !known:
			errs = append(errs, d.lie("layer %d of image %s is no layer: its media type is %s", i+1, d.Reference, l.MediaType).
				See("layer "+l.Digest).Hint("attestations, charts and other artifacts are no images; name the image itself"))
		case c != "none" && !slices.Contains(compressions, c):
			compressions = append(compressions, c)
		}
	}
	if len(compressions) > 1 {
		slices.Sort(compressions)
		errs = append(errs, d.lie("the layers of image %s are compressed in different ways: %s", d.Reference, strings.Join(compressions, " and ")).
			See("ECS refuses such images: \"number of layers and diffIDs don't match\"").
			Hint("build it anew with one compression for all layers: force-compression=true for BuildKit's exporter"))
	}
	return append(errs, d.judgeCount()...)
}

// judgeCount compares what the manifest lists with what the config lists.
func (d Description) judgeCount() []error {
	if len(d.Layers) == len(d.DiffIDs) {
		return nil
	}
	return []error{d.lie("the manifest of image %s has %s, its config has %s", d.Reference,
		count(len(d.Layers), "layer"), count(len(d.DiffIDs), "diff id")).
		Hint("manifest and config are of different images; build and push it anew")}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// judgeVersions finds versions of an operating system, which no Linux has: tasks
// for Windows take an image of exactly their own version, and others of none.
func (d Description) judgeVersions() []error {
	var errs []error
	for _, c := range []struct{ where, version string }{{"the index", d.DescriptorOSVersion}, {"the config", d.ConfigOSVersion}} {
		if c.version != "" {
			errs = append(errs, d.asks(c.where, c.version))
		}
	}
	return errs
}

func (d Description) asks(where, version string) *event.Failure {
	return d.lie("%s of image %s asks for version %s of its operating system (os.version)", where, d.Reference, version).
		Hint("images for Linux name no version; build it anew on a base image for Linux")
}
