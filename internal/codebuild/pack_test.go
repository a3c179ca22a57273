package codebuild

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/config"
)

// put writes files by name; a name that ends in "*" is executable.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, "*") {
			mode = 0o755
		}
		path := filepath.Join(dir, strings.TrimSuffix(name, "*"))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// unpack gives what a packed source holds: the text of files, "-> x" of links,
// with "*" after the name of an executable.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != 1 || z.File[0].Name != archive {
		t.Fatalf("the zip archive holds %d files, want %s alone", len(z.File), archive)
	}
	in, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	gz, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			t.Errorf("%s has the owner %d:%d %q", h.Name, h.Uid, h.Gid, h.Uname)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case h.Typeflag == tar.TypeSymlink:
			all[h.Name] = "-> " + h.Linkname
		case h.Typeflag == tar.TypeReg && h.Mode&0o111 != 0:
			all[h.Name+"*"] = string(text)
		case h.Typeflag == tar.TypeReg:
			all[h.Name] = string(text)
		}
	}
}

func TestPackHoldsWhatTheBuildNeedsAndNothingElse(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	put(t, dir, map[string]string{
		".dockerignore": "*.log\nnode_modules\n!keep.log\n", "a.log": "x", "keep.log": "kept", "node_modules/x.js": "x",
		"src/main.js": "main", "run.sh*": "#!", "empty/dir/.keep": "",
	})
	put(t, elsewhere, map[string]string{"Dockerfile.prod": "FROM scratch\n", "lib/a.txt": "a", "tool*": "the tool"})
	if err := os.Symlink("../run.sh", filepath.Join(dir, "src", "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "src", "main.js"), filepath.Join(dir, "src", "second.js")); err != nil {
		t.Fatal(err)
	}
	r := Request{Repository: "host/name", Build: build.Request{
		Context: dir, Dockerfile: filepath.Join(elsewhere, "Dockerfile.prod"), Platform: "linux/amd64",
		Contexts: map[string]string{"lib": filepath.Join(elsewhere, "lib"), "base": "docker-image://alpine:3"},
	}}
	tool := Tool{Executable: filepath.Join(elsewhere, "tool"), Platform: "linux/amd64"}
	path, err := tool.pack(t.Context(), r, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	got := unpack(t, path)
	delete(got, "weelo-deploy.yaml")
	want := map[string]string{
		"weelo-deploy*": "the tool", "dockerfile/Dockerfile.prod": "FROM scratch\n",
		"context/.dockerignore": "*.log\nnode_modules\n!keep.log\n", "context/keep.log": "kept", "context/run.sh*": "#!",
		"context/src/main.js": "main", "context/src/second.js": "main", "context/src/link": "-> ../run.sh", "context/empty/dir/.keep": "",
		"contexts/0/a.txt": "a",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("packed (-want +got):\n%s", d)
	}
}

func TestTheIgnoreFileOfTheDockerfileGoesFirst(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"Dockerfile": "FROM scratch\n", "Dockerfile.dockerignore": "a\n", ".dockerignore": "b\n", "a": "a", "b": "b"})
	path, err := Tool{}.pack(t.Context(), Request{Build: build.Request{Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile")}}, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	got := unpack(t, path)
	if got["context/a"] != "" || got["context/b"] != "b" || got["dockerfile/Dockerfile.dockerignore"] != "a\n" {
		t.Errorf("packed %v, want b, and the ignore file that leaves out a", got)
	}
}

// The configuration over there must say the same as the one here, whatever values
// look like.
func TestThePackedConfigurationIsTheSameBuild(t *testing.T) {
	dir := t.TempDir()
	r := Request{
		Repository: "1.dkr.ecr.ap-south-1.amazonaws.com/shop",
		Verify:     Verify{Allow: []string{"/a/$x.node"}, Seconds: 7},
		Build: build.Request{
			Context: "/here", Dockerfile: "/there/Dockerfile.prod", Platform: "linux/arm64", Target: "final",
			Args: map[string]string{"A": "${HOME} $$ \"x\"\n#", "B": ""}, Labels: map[string]string{"l": "{{.X}}"},
			Contexts: map[string]string{"base": "docker-image://alpine:3", "lib": "/lib"}, CacheFrom: []string{"type=registry,ref=x"}, CacheTo: []string{"inline"},
		},
	}
	text, err := r.config()
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, map[string]string{"weelo-deploy.yaml": string(text)})
	c, err := config.Load(config.Options{Path: filepath.Join(dir, "weelo-deploy.yaml"), Environ: []string{"HOME=/root"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := config.Build{
		Context: filepath.Join(dir, "context"), Dockerfile: filepath.Join(dir, "dockerfile/Dockerfile.prod"), Platform: "linux/arm64", Target: "final",
		Args: r.Build.Args, Labels: r.Build.Labels, CacheFrom: r.Build.CacheFrom, CacheTo: r.Build.CacheTo, On: c.Build.On,
		Contexts: map[string]string{"base": "docker-image://alpine:3", "lib": filepath.Join(dir, "contexts/0")},
	}
	if d := cmp.Diff(want, c.Build); d != "" {
		t.Errorf("build (-want +got):\n%s", d)
	}
	if c.Image.Repository != r.Repository || c.Verify.Trial.Seconds != 7 || c.Verify.Allow[0].Path != r.Verify.Allow[0] {
		t.Errorf("image %+v, verify %+v", c.Image, c.Verify)
	}
}
