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

func TestJudge(t *testing.T) {
	build, runtime := from("build.platform", amd64), from("runtimePlatform of weelobackendtask:27", amd64)
	both := []Requirement{build, runtime}
	image := func(index *Platform, config Platform) Description {
		return Description{Reference: "r:v1", Digest: "sha256:d", ConfigDigest: "sha256:c", Descriptor: index, Config: config}
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
