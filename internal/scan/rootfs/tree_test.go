package rootfs_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/rootfs"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

func build(t *testing.T, layers ...[]scantest.File) *rootfs.Tree {
	t.Helper()
	tree := &rootfs.Tree{}
	for i, files := range layers {
		f, err := layer.Read(t.Context(), bytes.NewReader(scantest.Tar(t, files...)))
		if err != nil {
			t.Fatalf("Read layer %d: %v", i, err)
		}
		if err := tree.Apply(i, f); err != nil {
			t.Fatalf("Apply layer %d: %v", i, err)
		}
	}
	return tree
}

// x is a file worth keeping.
func x(name string) scantest.File {
	return scantest.File{Name: name, Body: scantest.ELF{Program: true}.Bytes()}
}

func link(name, to string) scantest.File { return scantest.File{Name: name, Link: to} }

func paths(tree *rootfs.Tree) []string {
	out := []string{}
	for p, n := range tree.All() {
		if n.Kind != layer.Symlink {
			out = append(out, p+" "+string(rune('0'+n.Layer)))
		}
	}
	return out
}

func TestTree_Apply(t *testing.T) {
	type l = []scantest.File
	tests := map[string]struct {
		layers []l
		want   []string
	}{
		"a later layer replaces":                    {[]l{{x("a"), x("b")}, {x("a")}}, []string{"/a 1", "/b 0"}},
		"a file without interest replaces too":      {[]l{{x("a")}, {{Name: "a", Body: []byte("text"), Plain: true}}}, []string{}},
		"a whiteout removes a file":                 {[]l{{x("d/a"), x("d/b")}, {{Name: "d/.wh.a"}}}, []string{"/d/b 0"}},
		"a whiteout removes a folder":               {[]l{{x("d/e/a")}, {{Name: ".wh.d"}}}, []string{}},
		"a whiteout spares its own layer":           {[]l{{x("d/a")}, {x("d/a"), {Name: "d/.wh.a"}}}, []string{"/d/a 1"}},
		"a whiteout of what is not there":           {[]l{{x("a")}, {{Name: "no/.wh.x"}, {Name: ".wh.y"}}}, []string{"/a 0"}},
		"an opaque folder hides all below":          {[]l{{x("d/a"), x("d/e/b"), x("c")}, {x("d/n"), {Name: "d/.wh..wh..opq"}}}, []string{"/c 0", "/d/n 1"}},
		"a folder over a file":                      {[]l{{x("d")}, {{Name: "d/"}, x("d/a")}}, []string{"/d/a 1"}},
		"a file over a folder":                      {[]l{{x("d/a")}, {x("d")}}, []string{"/d 1"}},
		"a folder over a folder keeps":              {[]l{{x("d/a")}, {{Name: "d/"}}}, []string{"/d/a 0"}},
		"a hard link is the file":                   {[]l{{x("a"), {Name: "b", Hard: "a"}}, {{Name: ".wh.a"}}}, []string{"/b 0"}},
		"a hard link to a lower layer":              {[]l{{x("a")}, {{Name: "b", Hard: "a"}}}, []string{"/a 0", "/b 1"}},
		"a hard link to nothing":                    {[]l{{{Name: "b", Hard: "a"}}}, []string{}},
		"files below a linked folder go through it": {[]l{{x("usr/lib/a"), link("lib", "usr/lib")}, {x("lib/b")}}, []string{"/usr/lib/a 0", "/usr/lib/b 1"}},
		"whiteouts below a linked folder too":       {[]l{{x("usr/lib/a"), link("lib", "usr/lib")}, {{Name: "lib/.wh.a"}}}, []string{}},
		"a folder in place of a linked one":         {[]l{{x("usr/lib/a"), link("lib", "usr/lib")}, {{Name: "lib/"}, x("lib/b")}}, []string{"/lib/b 1", "/usr/lib/a 0"}},
		"a link cannot lead out":                    {[]l{{link("l", "../../.."), x("l/a")}}, []string{"/a 0"}},
		"links in a circle take nothing":            {[]l{{link("l", "m"), link("m", "l"), x("l/a")}}, []string{}},
		"a name that comes twice, the last counts":  {[]l{{x("a"), {Name: "a", Body: []byte("t"), Plain: true}}}, []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, paths(build(t, tt.layers...))); d != "" {
				t.Errorf("files (-want +got):\n%s", d)
			}
		})
	}
}

func TestTree_Resolve(t *testing.T) {
	tree := build(t, []scantest.File{
		x("usr/lib/libc.so"), link("lib", "usr/lib"), link("usr/lib/alias", "libc.so"), link("abs", "/lib/alias"), link("up", "lib/../bin/sh"), x("usr/bin/sh"),
		link("over", "../../../lib/libc.so"), link("self", "self"), link("a", "b"), link("b", "a/x"), link("dangling", "none"), link("dir", "usr/./lib/"),
		link("phantom", "nothing/../usr/bin/sh"),
	})
	for in, want := range map[string]string{
		"/usr/lib/libc.so":        "/usr/lib/libc.so",
		"/lib/alias":              "/usr/lib/libc.so",
		"/abs":                    "/usr/lib/libc.so",
		"up":                      "/usr/bin/sh", // lib is a link: ".." leaves what it leads to
		"/over":                   "/usr/lib/libc.so",
		"/dir/libc.so":            "/usr/lib/libc.so",
		"/phantom":                "/usr/bin/sh",
		"/self":                   "",
		"/a":                      "",
		"/dangling":               "",
		"/usr/lib/libc.so/x":      "",
		"/usr/bin/../lib/libc.so": "/usr/lib/libc.so",
		"/":                       "/",
	} {
		if got, n := tree.Resolve(in); got != want || (n != nil) != (want != "") {
			t.Errorf("Resolve(%s) = %q, %v; want %q", in, got, n, want)
		}
	}
}

func TestTree_deepLinks(t *testing.T) {
	deep := strings.Repeat("d/", 1000)
	files := []scantest.File{x(deep + "f")}
	at := "/" + strings.TrimSuffix(deep, "/")
	for i := range 30 { // each link leads a thousand folders deeper than the one before
		name := "l" + string(rune('a'+i))
		files = append(files, link(name, at), x(name+"/"+deep+"f"))
		at = "/" + name + "/" + strings.TrimSuffix(deep, "/")
	}
	tree := build(t, files)
	for p := range tree.All() {
		if len(p) > 8192 {
			t.Fatalf("a path of %d bytes", len(p))
		}
	}
}

func TestTree_empty(t *testing.T) {
	var tree rootfs.Tree
	if p, n := tree.Resolve("/x"); p != "" || n != nil {
		t.Errorf("Resolve = %q, %v", p, n)
	}
	if got := paths(&tree); len(got) != 0 || tree.Glob("/", "*") != nil {
		t.Errorf("an empty tree has %v", got)
	}
}
