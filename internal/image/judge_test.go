package image

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

var (
	amd64 = Platform{"linux", "amd64", ""}
	arm64 = Platform{"linux", "arm64", ""}
)

func from(who string, p Platform) Requirement { return Requirement{Platform: p, From: who} }

// layered gives an image layers of these kinds, and as many diff ids.
func layered(kinds ...string) func(*Description) {
	types := map[string]string{
		"gzip": "application/vnd.oci.image.layer.v1.tar+gzip", "zstd": "application/vnd.docker.image.rootfs.diff.tar.zstd",
		"none": "application/vnd.oci.image.layer.v1.tar", "foreign": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "text": "text/plain",
	}
	return func(d *Description) {
		for _, k := range kinds {
			d.Layers = append(d.Layers, Layer{Digest: "sha256:" + k, MediaType: types[k], Foreign: k == "foreign"})
			d.DiffIDs = append(d.DiffIDs, "sha256:diff")
		}
	}
}

func TestJudge(t *testing.T) {
	build, runtime := from("build.platform", amd64), from("runtimePlatform of weelobackendtask:27", amd64)
	both := []Requirement{build, runtime}
	image := func(index *Platform, config Platform) Description {
		return Description{Reference: "r:v1", Digest: "sha256:d", ConfigDigest: "sha256:c", Descriptor: index, Config: config}
	}
	with := func(change func(*Description)) Description {
		d := image(&amd64, amd64)
		change(&d)
		return d
	}
	for _, c := range []struct {
		name string
		d    Description
		want []Requirement
		says []string
	}{
		{"all agree", image(&amd64, amd64), both, nil},
		{"all agree, without an index", image(nil, amd64), both, nil},
		{"other spellings of the same", image(&Platform{"linux", "arm64", "v8"}, arm64), []Requirement{from("x", Platform{"linux", "aarch64", ""})}, nil},
		{"nothing is wanted", image(nil, arm64), nil, nil},
		{"the config lies", image(&amd64, arm64), both, []string{
			"the index says that image r:v1 is linux/amd64, its config says linux/arm64",
			"the config of image r:v1 says linux/arm64, build.platform and runtimePlatform of weelobackendtask:27 want linux/amd64"}},
		{"the index lies", image(&arm64, amd64), both, []string{
			"the index says that image r:v1 is linux/arm64, its config says linux/amd64",
			"the index of image r:v1 says linux/arm64, build.platform and runtimePlatform of weelobackendtask:27 want linux/amd64"}},
		{"both are for another machine", image(&arm64, arm64), []Requirement{build}, []string{
			"the index of image r:v1 says linux/arm64, build.platform wants linux/amd64",
			"the config of image r:v1 says linux/arm64, build.platform wants linux/amd64"}},
		{"runtimePlatform wants something else than build.platform", image(nil, amd64), []Requirement{build, from("runtimePlatform of f:1", arm64)}, []string{
			"the configuration contradicts itself: build.platform wants linux/amd64, runtimePlatform of f:1 wants linux/arm64",
			"the config of image r:v1 says linux/amd64, runtimePlatform of f:1 wants linux/arm64"}},
		{"the config names no architecture", image(nil, Platform{"linux", "", ""}), []Requirement{build}, []string{
			"the config of image r:v1 names linux without an architecture"}},
		{"the config names nothing", image(nil, Platform{}), nil, []string{"the config of image r:v1 names no platform"}},
		{"another operating system", image(nil, Platform{"windows", "amd64", ""}), []Requirement{build}, []string{
			"the config of image r:v1 says windows/amd64, build.platform wants linux/amd64"}},
		{"a newer kind of processor", image(nil, Platform{"linux", "amd64", "v3"}), []Requirement{build}, []string{
			"the config of image r:v1 says linux/amd64/v3, build.platform wants linux/amd64"}},
		{"build.platform lies", image(&arm64, arm64), []Requirement{build, from("runtimePlatform of f:1", arm64)}, []string{
			"the configuration contradicts itself: build.platform wants linux/amd64, runtimePlatform of f:1 wants linux/arm64",
			"the index of image r:v1 says linux/arm64, build.platform wants linux/amd64",
			"the config of image r:v1 says linux/arm64, build.platform wants linux/amd64"}},
		{"the manifest lies", with(func(d *Description) { d.Declared = &arm64 }), both, []string{
			"the manifest says that the config of image r:v1 is linux/arm64, the config says linux/amd64",
			"the manifest of image r:v1 says linux/arm64, build.platform and runtimePlatform of weelobackendtask:27 want linux/amd64"}},
		{"the manifest says the same", with(func(d *Description) { d.Declared = &amd64 }), both, nil},
		{"an attestation", image(nil, Platform{"unknown", "unknown", ""}), both, []string{"the config of image r:v1 names unknown/unknown"}},
		{"a version of Windows in the index", with(func(d *Description) { d.DescriptorOSVersion = "10.0.1" }), both, []string{
			"the index of image r:v1 asks for version 10.0.1 of its operating system (os.version)"}},
		{"a version of Windows in the config", with(func(d *Description) { d.ConfigOSVersion = "10.0.1" }), both, []string{
			"the config of image r:v1 asks for version 10.0.1 of its operating system (os.version)"}},
		{"layers that agree", with(layered("gzip", "none", "gzip")), both, nil},
		{"layers of an archive without manifests", with(func(d *Description) { d.Layers, d.DiffIDs = make([]Layer, 2), make([]string, 2) }), both, nil},
		{"gzip and zstd", with(layered("zstd", "gzip")), both, []string{"the layers of image r:v1 are compressed in different ways: gzip and zstd"}},
		{"a foreign layer", with(layered("gzip", "foreign")), both, []string{"layer 2 of image r:v1 is foreign: its bytes are not in the registry"}},
		{"a layer that is none", with(layered("text")), both, []string{"layer 1 of image r:v1 is no layer: its media type is text/plain"}},
		{"fewer diff ids than layers", with(func(d *Description) { layered("gzip", "gzip")(d); d.DiffIDs = d.DiffIDs[1:] }), both, []string{
			"the manifest of image r:v1 has 2 layers, its config has 1 diff id"}},
		{"no layers", with(func(d *Description) { d.DiffIDs = []string{"sha256:x"} }), both, []string{"the manifest of image r:v1 has 0 layers, its config has 1 diff id"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Judge(c.d, c.want)
			var got []string
			for _, f := range event.FailuresOf(err) {
				if f.Code != event.CodePlatformMismatch || len(f.Hints) == 0 {
					t.Errorf("%q has code %s and hints %q", f.Message, f.Code, f.Hints)
				}
				got = append(got, f.Message)
			}
			if diff := cmp.Diff(c.says, got); diff != "" {
				t.Errorf("Judge (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudge_Evidence(t *testing.T) {
	err := Judge(Description{Reference: "r", Digest: "sha256:d", Index: "sha256:i", ConfigDigest: "sha256:c", Config: arm64}, []Requirement{from("x", amd64)})
	want := []string{"manifest sha256:d", "index sha256:i", "config sha256:c"}
	if diff := cmp.Diff(want, event.FailuresOf(err)[0].Evidence); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
}

func TestParsePlatform(t *testing.T) {
	for in, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/x86_64": "linux/amd64", "linux/arm64/v8": "linux/arm64", "linux/arm/v7": "linux/arm/v7", "linux/amd64/v3": "linux/amd64/v3",
	} {
		if p, err := ParsePlatform(in); err != nil || p.String() != want {
			t.Errorf("ParsePlatform(%q) = %s, %v; want %s", in, p, err, want)
		}
	}
	if _, err := ParsePlatform("lin ux"); err == nil || !strings.Contains(err.Error(), `"lin ux"`) {
		t.Errorf("ParsePlatform of nonsense = %v", err)
	}
}

func TestParseReference(t *testing.T) {
	const d = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for in, want := range map[string]Reference{
		"1.dkr.ecr.ap-south-1.amazonaws.com/weelo/backend:v1": {"1.dkr.ecr.ap-south-1.amazonaws.com", "weelo/backend", "v1", ""},
		"127.0.0.1:5000/x@" + d:                               {"127.0.0.1:5000", "x", "", d},
		"127.0.0.1:5000/x:t@" + d:                             {"127.0.0.1:5000", "x", "t", d},
		"nginx":                                               {"docker.io", "library/nginx", "", ""},
	} {
		if got, err := ParseReference(in); err != nil || got != want {
			t.Errorf("ParseReference(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	if _, err := ParseReference("UPPER case"); err == nil {
		t.Error("ParseReference of nonsense: no error")
	}
}
