package image

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image/imagetest"
)

var wantAMD64 = []Requirement{from("build.platform", amd64)}

// reading is one way to read a case's content.
type reading struct {
	name string
	read func(t *testing.T, c *imagetest.Content) (ref string, d Description, err error)
}

var readings = []reading{
	{"registry", func(t *testing.T, c *imagetest.Content) (string, Description, error) {
		ref := server(t, func(http.Handler) http.Handler { return c }) + "/x:v1"
		d, err := NewRemote(engine.Auth{}, nil).Describe(t.Context(), ref, amd64)
		return ref, d, err
	}},
	{"OCI layout", func(t *testing.T, c *imagetest.Content) (string, Description, error) {
		dir := filepath.Join(t.TempDir(), "layout")
		if err := imagetest.Write(dir, c.Files()); err != nil {
			t.Fatal(err)
		}
		if !IsLayout(dir) {
			t.Errorf("%s is a layout", dir)
		}
		d, err := DescribeLayout(t.Context(), dir, Choice{Platform: amd64})
		return dir, d, err
	}},
	{"OCI archive", func(t *testing.T, c *imagetest.Content) (string, Description, error) {
		d, err := DescribeTar(t.Context(), bytes.NewReader(imagetest.Tar(c.Files())), "x.tar", Choice{Platform: amd64})
		return "x.tar", d, err
	}},
	{"OCI archive, gzip", func(t *testing.T, c *imagetest.Content) (string, Description, error) {
		d, err := DescribeTar(t.Context(), bytes.NewReader(imagetest.Gzip(imagetest.Tar(c.Files()))), "x.tgz", Choice{Platform: amd64})
		return "x.tgz", d, err
	}},
}

// TestReaders_SameVerdict reads every case in every way: what is said of an image
// does not depend on where it is.
func TestReaders_SameVerdict(t *testing.T) {
	for _, c := range imagetest.Cases() {
		for _, r := range readings {
			t.Run(c.Name+" in a "+r.name, func(t *testing.T) {
				ref, d, err := r.read(t, c.Content())
				if err == nil {
					err = Judge(d, wantAMD64)
				}
				if c.Runs != nil {
					checkRuns(t, c, d, err)
					return
				}
				checkRefused(t, c, ref, err)
			})
		}
	}
}

func checkRuns(t *testing.T, c imagetest.Case, d Description, err error) {
	t.Helper()
	content := c.Content()
	runs := c.Runs(content)
	index := ""
	if content.Top.MediaType.IsIndex() {
		index = content.Top.Digest.String()
	}
	if err != nil || d.Digest != runs.Digest.String() || d.Index != index || d.ConfigDigest == "" || d.Config.normal() != amd64 || len(d.Layers) == 0 || d.Size == 0 {
		t.Errorf("described as %+v, %v; want the manifest %s of index %q", d, err, runs.Digest, index)
	}
}

func checkRefused(t *testing.T, c imagetest.Case, ref string, err error) {
	t.Helper()
	var got []string
	for _, f := range event.FailuresOf(err) {
		if f.Code != event.CodePlatformMismatch || len(f.Hints) == 0 {
			t.Errorf("%q has code %s and hints %q", f.Message, f.Code, f.Hints)
		}
		got = append(got, f.Message)
	}
	same := slices.EqualFunc(got, c.Says, func(message, says string) bool { return imagetest.Matches(message, says, ref) })
	if !same {
		t.Errorf("%s:\n got %q\nwant %q", ref, got, c.Says)
	}
}

// TestReaders_WhatAnIndexHas: a refusal lists what there is instead.
func TestReaders_WhatAnIndexHas(t *testing.T) {
	for name, has := range map[string]string{
		"index-without-platform": "linux/arm64", "index-amd64-v2-and-v3": "linux/amd64/v2, linux/amd64/v3", "index-empty": "no image at all",
		"index-attestations-only": "no image at all", "index-entry-without-platform": "an image that names no platform", "index-nested": "another index",
		"index-of-artifacts": "an artifact of type application/vnd.dev.cosign.artifact.sig.v1+json", "index-two-candidates": "linux/amd64, linux/amd64",
	} {
		c, ok := imagetest.Find(name)
		if !ok {
			t.Fatalf("there is no case %s", name)
		}
		_, _, err := readings[0].read(t, c.Content())
		f := event.FailuresOf(err)[0]
		if got := f.Evidence[len(f.Evidence)-1]; got != "it has: "+has {
			t.Errorf("%s: %q, want %q", name, got, "it has: "+has)
		}
	}
}

// TestReaders_Missing are layouts and archives that lost a part; a registry would
// not have taken the image.
func TestReaders_Missing(t *testing.T) {
	lossy := func(name string) (*imagetest.Content, v1.Descriptor) {
		c := imagetest.New()
		var layer v1.Descriptor
		c.Top = c.Image(imagetest.Image{Edit: func(m *v1.Manifest) { layer = m.Layers[0] }})
		switch name {
		case "a layer":
			delete(c.Blobs, layer.Digest)
		case "half a layer":
			c.Blobs[layer.Digest] = c.Blobs[layer.Digest][:9]
		case "the manifest":
			delete(c.Blobs, c.Top.Digest)
		case "a manifest of another digest":
			c.Blobs[c.Top.Digest] = bytes.Replace(c.Blobs[c.Top.Digest], []byte("sha256:"), []byte("SHA256:"), 1)
		}
		return c, layer
	}
	for name, says := range map[string]string{
		"a layer": "its layer LAYER is missing", "half a layer": "its layer LAYER has 9 bytes, and is described as *",
		"the manifest": "its manifest TOP is missing", "a manifest of another digest": "its manifest TOP has another digest",
	} {
		for _, r := range readings[1:] {
			c, layer := lossy(name)
			ref, d, err := r.read(t, c)
			f := event.FailuresOf(err)
			says := strings.NewReplacer("LAYER", layer.Digest.String(), "TOP", c.Top.Digest.String()).Replace(says)
			if len(f) != 1 || f[0].Code != event.CodePlatformMismatch || !imagetest.Matches(f[0].Message, "IMAGE is no image that ECS can run: "+says, ref) {
				t.Errorf("%s without %s: %+v, %v; want %q", r.name, name, d, err, says)
			}
		}
	}
}

func TestDescribeLayout_NoLayout(t *testing.T) {
	dir := t.TempDir()
	if _, err := DescribeLayout(t.Context(), dir, Choice{}); !errors.Is(err, ErrNoImages) || IsLayout(dir) {
		t.Errorf("DescribeLayout of an empty directory = %v", err)
	}
	if _, err := DescribeLayout(t.Context(), filepath.Join(dir, "none"), Choice{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("DescribeLayout of nothing = %v", err)
	}
	for _, c := range []struct{ name, index, version, says string }{
		{"no JSON", "no", `{"imageLayoutVersion":"1.0.0"}`, "its index.json cannot be read"},
		{"a digest that is none", `{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}`, `{"imageLayoutVersion":"1.0.0"}`, "its index.json cannot be read"},
		{"a later version", `{}`, `{"imageLayoutVersion":"2.0.0"}`, `its layout is of version "2.0.0"`},
		{"a version that is no JSON", `{}`, `1`, "its oci-layout cannot be read"},
		{"no image", `{"manifests":[]}`, `{"imageLayoutVersion":"1.0.0"}`, "it holds no image"},
	} {
		files := map[string][]byte{"index.json": []byte(c.index), "oci-layout": []byte(c.version)}
		dir := filepath.Join(t.TempDir(), "l")
		if err := imagetest.Write(dir, files); err != nil {
			t.Fatal(err)
		}
		_, err := DescribeLayout(t.Context(), dir, Choice{})
		_, terr := DescribeTar(t.Context(), bytes.NewReader(imagetest.Tar(files)), dir, Choice{})
		for _, err := range []error{err, terr} {
			if f := event.FailuresOf(err)[0]; f.Code != event.CodePlatformMismatch || !strings.Contains(f.Message, c.says) {
				t.Errorf("%s: %v, want %q", c.name, err, c.says)
			}
		}
	}
}

// TestDescribeLayout_StaysInside: a link in a layout does not lead out of it.
func TestDescribeLayout_StaysInside(t *testing.T) {
	c, _ := imagetest.Find("amd64")
	content := c.Content()
	dir := t.TempDir()
	if err := imagetest.Write(filepath.Join(dir, "l"), content.Files()); err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(dir, "l", "blobs", "sha256", content.Top.Digest.Hex)
	if err := os.Rename(blob, filepath.Join(dir, "outside")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../outside", blob); err != nil {
		t.Fatal(err)
	}
	if d, err := DescribeLayout(t.Context(), filepath.Join(dir, "l"), Choice{}); err == nil {
		t.Errorf("DescribeLayout follows a link out of the layout: %+v", d)
	}
}

func TestReaders_SeveralImages(t *testing.T) {
	c := imagetest.New()
	ours, other := c.Image(imagetest.Image{}), c.Image(imagetest.Image{Arch: "arm64"})
	read := func(name string, entries ...v1.Descriptor) (Description, error) {
		return DescribeTar(t.Context(), bytes.NewReader(imagetest.Tar(c.Files(entries...))), "x.tar", Choice{Platform: amd64, Name: name})
	}
	both := []v1.Descriptor{imagetest.Named(ours, "backend:v1"), imagetest.Named(other, "other:v1")}
	if d, err := read("", imagetest.Named(ours, "backend:v1"), imagetest.Named(ours, "backend:latest")); err != nil || d.Digest != ours.Digest.String() {
		t.Errorf("two names of one image: %+v, %v", d, err)
	}
	if d, err := read("", imagetest.For(other, "linux/arm64"), imagetest.For(ours, "linux/amd64")); err != nil || d.Digest != ours.Digest.String() || d.Index != "" {
		t.Errorf("two platforms of one image: %+v, %v", d, err)
	}
	_, err := read("", both...)
	if f := event.FailuresOf(err)[0]; f.Code != event.CodeUsage || f.Message != "x.tar holds 2 images, and nothing says which is meant" || f.Hints[0] != "name one of them: --name backend:v1" {
		t.Errorf("two images = %v with hints %q", err, f.Hints)
	}
	for name, want := range map[string]Platform{"backend:v1": amd64, "docker.io/library/backend:v1": amd64, "other:v1": arm64} {
		if d, err := read(name, both...); err != nil || d.Config != want {
			t.Errorf("%s = %+v, %v; want %s", name, d, err, want)
		}
	}
	_, err = read("absent", both...)
	if f := event.FailuresOf(err)[0]; f.Code != event.CodeNotFound || !errors.Is(err, ErrNotFound) || f.Evidence[0] != "it holds backend:v1, other:v1" {
		t.Errorf("an image that is not there = %v, %q", err, f.Evidence)
	}
}

// FuzzLayout reads anything as the files of an OCI layout in a directory.
func FuzzLayout(f *testing.F) {
	for _, c := range imagetest.Cases() {
		files := c.Content().Files()
		f.Add(files["index.json"], files["oci-layout"])
	}
	f.Fuzz(func(t *testing.T, index, version []byte) {
		dir := t.TempDir()
		files := imagetest.New()
		files.Top = files.Image(imagetest.Image{})
		all := files.Files()
		all["index.json"], all["oci-layout"] = index, version
		if err := imagetest.Write(dir, all); err != nil {
			t.Fatal(err)
		}
		d, err := DescribeLayout(t.Context(), dir, Choice{Platform: amd64})
		if err == nil && (d.Digest == "" || d.ConfigDigest == "") {
			t.Errorf("described as %+v", d)
		}
	})
}
