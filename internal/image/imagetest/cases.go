package imagetest

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Case is an image, and what is to be said of it when linux/amd64 is wanted.
type Case struct {
	Name string
	Make func(*Content) v1.Descriptor

	// Runs is the manifest that is deployed; nil when the image is refused.
	Runs func(*Content) v1.Descriptor
	// Says are the refusal's messages, in order, with IMAGE for the image's name.
	Says []string
}

// Content makes the case's content.
func (c Case) Content() *Content {
	content := New()
	content.Top = c.Make(content)
	return content
}

// Find gives a case by its name.
func Find(name string) (Case, bool) {
	for _, c := range Cases() {
		if c.Name == name {
			return c, true
		}
	}
	return Case{}, false
}

// Cases are all that images can say of their platform, one truth or one lie each.
func Cases() []Case {
	var all []Case
	for _, group := range [][]Case{truths(), lies(), indexes(), noImages(), layers()} {
		all = append(all, group...)
	}
	return all
}

// one is an image of its own.
func one(i Image) func(*Content) v1.Descriptor {
	return func(c *Content) v1.Descriptor { return c.Image(i) }
}

func amd64(c *Content) v1.Descriptor { return c.Image(Image{}) }
func arm64(c *Content) v1.Descriptor { return c.Image(Image{Arch: "arm64"}) }

// truths are images that are fine.
func truths() []Case {
	all := func(c *Content) v1.Descriptor {
		return c.Index(For(arm64(c), "linux/arm64/v8"), For(amd64(c), "linux/amd64"), For(c.Image(Image{Arch: "arm", Variant: "v7"}), "linux/arm/v7"))
	}
	dockers := Image{ConfigType: types.DockerConfigJSON, Edit: func(m *v1.Manifest) {
		m.MediaType, m.Layers[0].MediaType = types.DockerManifestSchema2, types.DockerLayer
	}}
	return []Case{
		{Name: "amd64", Make: amd64, Runs: amd64},
		{Name: "docker-schema-2", Make: one(dockers), Runs: one(dockers)},
		{Name: "zstd", Make: one(Image{Layers: []string{"zstd", "zstd"}}), Runs: one(Image{Layers: []string{"zstd", "zstd"}})},
		{Name: "uncompressed-beside-gzip", Make: one(Image{Layers: []string{"none", "gzip"}}), Runs: one(Image{Layers: []string{"none", "gzip"}})},
		{Name: "x86-64", Make: one(Image{Arch: "x86_64"}), Runs: one(Image{Arch: "x86_64"})},
		{Name: "program", Make: one(Image{Program: "amd64"}), Runs: one(Image{Program: "amd64"})},
		{Name: "program-arm64", Make: one(Image{Program: "arm64"}), Runs: one(Image{Program: "arm64"})}, // by its label it is fine
		// What only the layers' contents tell.
		{Name: "other-layers", Make: one(Image{OtherDiffIDs: true}), Runs: one(Image{OtherDiffIDs: true})},
		{Name: "index", Make: all, Runs: amd64},
		{Name: "index-with-attestation", Runs: amd64, Make: func(c *Content) v1.Descriptor {
			return c.Index(For(amd64(c), "linux/amd64"), Attestation(c.Image(Image{OS: "unknown", Arch: "unknown", Layers: []string{"attestation"}})))
		}},
		{Name: "index-with-newer-variant", Runs: amd64, Make: func(c *Content) v1.Descriptor {
			return c.Index(For(c.Image(Image{Variant: "v3"}), "linux/amd64/v3"), For(amd64(c), "linux/amd64"))
		}},
		{Name: "index-lists-it-twice", Runs: amd64, Make: func(c *Content) v1.Descriptor {
			return c.Index(For(amd64(c), "linux/amd64"), For(amd64(c), "linux/amd64"))
		}},
	}
}

const (
	wantsAMD64 = "build.platform wants linux/amd64"
	configARM  = "the config of image IMAGE says linux/arm64, " + wantsAMD64
)

// lies are one place each that disagrees with the others.
func lies() []Case {
	with := func(i Image, platform string) func(*Content) v1.Descriptor {
		return func(c *Content) v1.Descriptor { return c.Index(For(c.Image(i), platform)) }
	}
	declares := func(m *v1.Manifest) { m.Config.Platform = &v1.Platform{OS: "linux", Architecture: "arm64"} }
	return []Case{
		{Name: "config-arm64", Make: arm64, Says: []string{configARM}},
		{Name: "config-lies-to-index", Make: with(Image{Arch: "arm64"}, "linux/amd64"), Says: []string{
			"the index says that image IMAGE is linux/amd64, its config says linux/arm64", configARM}},
		{Name: "index-lies", Make: with(Image{}, "linux/arm64"), Says: []string{"the index of IMAGE has no image for linux/amd64"}},
		{Name: "manifest-lies", Make: one(Image{Edit: declares}), Says: []string{
			"the manifest says that the config of image IMAGE is linux/arm64, the config says linux/amd64",
			"the manifest of image IMAGE says linux/arm64, " + wantsAMD64}},
		{Name: "no-architecture", Make: one(Image{Arch: "-"}), Says: []string{"the config of image IMAGE names linux without an architecture"}},
		{Name: "no-platform", Make: one(Image{OS: "-", Arch: "-"}), Says: []string{"the config of image IMAGE names no platform"}},
		{Name: "no-architecture-in-index", Make: with(Image{Arch: "-"}, "linux/amd64"), Says: []string{
			"the config of image IMAGE names linux without an architecture",
			"the index says that image IMAGE is linux/amd64, its config says linux without an architecture"}},
		{Name: "windows", Make: one(Image{OS: "windows"}), Says: []string{"the config of image IMAGE says windows/amd64, " + wantsAMD64}},
		{Name: "os-version", Make: one(Image{OSVersion: "10.0.20348.2527"}), Says: []string{
			"the config of image IMAGE asks for version 10.0.20348.2527 of its operating system (os.version)"}},
		{Name: "os-version-in-index", Make: func(c *Content) v1.Descriptor {
			d := For(amd64(c), "linux/amd64")
			d.Platform.OSVersion = "10.0.17763"
			return c.Index(d)
		}, Says: []string{"the index of image IMAGE asks for version 10.0.17763 of its operating system (os.version)"}},
		{Name: "amd64-v3", Make: one(Image{Variant: "v3"}), Says: []string{"the config of image IMAGE says linux/amd64/v3, " + wantsAMD64}},
		{Name: "arm-v7", Make: one(Image{Arch: "arm", Variant: "v7"}), Says: []string{"the config of image IMAGE says linux/arm/v7, " + wantsAMD64}},
	}
}

// indexes are those that have not one image to run.
func indexes() []Case {
	no := []string{"the index of IMAGE has no image for linux/amd64"}
	return []Case{
		{Name: "index-without-platform", Says: no, Make: func(c *Content) v1.Descriptor { return c.Index(For(arm64(c), "linux/arm64")) }},
		{Name: "index-two-candidates", Says: []string{"the index of IMAGE has 2 images for linux/amd64"}, Make: func(c *Content) v1.Descriptor {
			return c.Index(For(amd64(c), "linux/amd64"), For(c.Image(Image{Labels: map[string]string{"other": "one"}}), "linux/amd64"))
		}},
		{Name: "index-arm-v7-only", Says: no, Make: func(c *Content) v1.Descriptor {
			return c.Index(For(c.Image(Image{Arch: "arm", Variant: "v7"}), "linux/arm/v7"))
		}},
		{Name: "index-amd64-v2-and-v3", Says: no, Make: func(c *Content) v1.Descriptor {
			return c.Index(For(c.Image(Image{Variant: "v2"}), "linux/amd64/v2"), For(c.Image(Image{Variant: "v3"}), "linux/amd64/v3"))
		}},
		{Name: "index-empty", Says: no, Make: func(c *Content) v1.Descriptor { return c.Index() }},
		{Name: "index-attestations-only", Says: no, Make: func(c *Content) v1.Descriptor {
			return c.Index(Attestation(c.Image(Image{OS: "unknown", Arch: "unknown", Layers: []string{"attestation"}})))
		}},
		{Name: "index-entry-without-platform", Says: no, Make: func(c *Content) v1.Descriptor { return c.Index(amd64(c)) }},
		{Name: "index-nested", Says: no, Make: func(c *Content) v1.Descriptor {
			return c.Index(For(c.Index(For(amd64(c), "linux/amd64")), "linux/amd64"))
		}},
		{Name: "index-of-artifacts", Says: no, Make: func(c *Content) v1.Descriptor {
			d := For(amd64(c), "linux/amd64")
			d.ArtifactType = "application/vnd.dev.cosign.artifact.sig.v1+json"
			return c.Index(d)
		}},
		{Name: "index-hides-index", Make: func(c *Content) v1.Descriptor {
			d := For(c.Index(For(amd64(c), "linux/amd64")), "linux/amd64")
			d.MediaType = types.OCIManifestSchema1
			return c.Index(d)
		}, Says: []string{"IMAGE is no image that ECS can run: what refers to its manifest says that it is application/vnd.oci.image.manifest.v1+json, the manifest says that it is application/vnd.oci.image.index.v1+json"}},
		{Name: "index-entry-missing", Make: func(c *Content) v1.Descriptor {
			d := For(New().Image(Image{}), "linux/amd64")
			return c.Index(d)
		}, Says: []string{"IMAGE is no image that ECS can run: its manifest " + New().Image(Image{}).Digest.String() + " is missing"}},
		{Name: "index-entry-of-other-size", Make: func(c *Content) v1.Descriptor {
			d := For(amd64(c), "linux/amd64")
			d.Size++
			return c.Index(d)
		}, Says: []string{"IMAGE is no image that ECS can run: its manifest " + New().Image(Image{}).Digest.String() + " has *"}},
	}
}

// noImages are manifests that are no images.
func noImages() []Case {
	const no = "IMAGE is no image that ECS can run: "
	raw := func(t types.MediaType, text string) func(*Content) v1.Descriptor {
		return func(c *Content) v1.Descriptor { return c.Add(t, []byte(text)) }
	}
	oci := string(types.OCIManifestSchema1)
	return []Case{
		{Name: "schema-1", Make: raw(types.DockerManifestSchema1Signed, `{"schemaVersion":1,"name":"x","tag":"1","architecture":"amd64","fsLayers":[],"history":[]}`),
			Says: []string{no + `its manifest is of Docker's schema 1, which is too old (media type "application/vnd.docker.distribution.manifest.v1+prettyjws")`}},
		{Name: "chart", Make: one(Image{ConfigType: "application/vnd.cncf.helm.config.v1+json"}), Says: []string{no + "its config is of media type application/vnd.cncf.helm.config.v1+json"}},
		{Name: "plugin", Make: one(Image{ConfigType: types.DockerPluginConfig}), Says: []string{no + "its config is of media type application/vnd.docker.plugin.v1+json"}},
		{Name: "attestation", Make: one(Image{OS: "unknown", Arch: "unknown", Layers: []string{"attestation"}}), Says: []string{
			"the config of image IMAGE names unknown/unknown", "layer 1 of image IMAGE is no layer: its media type is application/vnd.in-toto+json"}},
		{Name: "unknown-media-type", Make: raw("application/vnd.example.thing.v1+json", `{"schemaVersion":2}`), Says: []string{no + "its media type is application/vnd.example.thing.v1+json"}},
		{Name: "image-and-index", Make: raw(types.OCIManifestSchema1, `{"schemaVersion":2,"mediaType":"`+oci+`","config":{},"layers":[],"manifests":[]}`), Says: []string{no + "its manifest is an image and an index at once"}},
		{Name: "no-config", Make: raw(types.OCIManifestSchema1, `{"schemaVersion":2,"mediaType":"`+oci+`","layers":[]}`), Says: []string{no + "its manifest has no config"}},
		{Name: "no-json", Make: raw(types.OCIManifestSchema1, `{"schemaVersion":`), Says: []string{no + "its manifest is no JSON: *"}},
		{Name: "calls-itself-otherwise", Make: func(c *Content) v1.Descriptor {
			d := amd64(c)
			d.MediaType = types.DockerManifestSchema2
			return d
		}, Says: []string{no + "what refers to its manifest says that it is application/vnd.docker.distribution.manifest.v2+json, the manifest says that it is " + oci}},
		{Name: "config-missing", Make: func(c *Content) v1.Descriptor {
			return c.Image(Image{Edit: func(m *v1.Manifest) { delete(c.Blobs, m.Config.Digest) }})
		}, Says: []string{no + "its config * is missing"}},
		{Name: "config-no-json", Make: func(c *Content) v1.Descriptor {
			return c.Image(Image{Edit: func(m *v1.Manifest) { m.Config = c.Add(types.OCIConfigJSON, []byte("[not a config")) }})
		}, Says: []string{no + "its config cannot be read: *"}},
	}
}

// layers are images whose layers cannot be unpacked.
func layers() []Case {
	return []Case{
		{Name: "foreign-layers", Make: one(Image{Layers: []string{"gzip", "foreign"}}), Says: []string{"layer 2 of image IMAGE is foreign: its bytes are not in the registry"}},
		{Name: "mixed-compressions", Make: one(Image{Layers: []string{"gzip", "zstd", "gzip"}}), Says: []string{"the layers of image IMAGE are compressed in different ways: gzip and zstd"}},
		{Name: "fewer-diff-ids", Make: one(Image{Layers: []string{"gzip", "gzip"}, DiffIDs: -1}), Says: []string{"the manifest of image IMAGE has 2 layers, its config has 1 diff id"}},
		{Name: "more-diff-ids", Make: one(Image{DiffIDs: 2}), Says: []string{"the manifest of image IMAGE has 1 layer, its config has 3 diff ids"}},
		{Name: "no-layers-but-diff-ids", Make: one(Image{Layers: []string{}, DiffIDs: 1}), Says: []string{"the manifest of image IMAGE has 0 layers, its config has 1 diff id"}},
	}
}

// Matches holds a message against what a case says: IMAGE is the name, and a * in
// it is anything.
func Matches(message, says, name string) bool {
	says = strings.ReplaceAll(says, "IMAGE", name)
	before, after, any := strings.Cut(says, "*")
	if !any {
		return message == says
	}
	return len(message) >= len(before)+len(after) && strings.HasPrefix(message, before) && strings.HasSuffix(message, after)
}
