package layer_test

import (
	"archive/tar"
	"bytes"
	"path"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/rootfs"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

// FuzzRead reads anything as a layer, packed or not, and lays what comes out
// over itself: every path stays inside, and every entry can be asked for.
func FuzzRead(f *testing.F) {
	all := scantest.Tar(f,
		scantest.File{Name: "usr/bin/node", Body: scantest.ELF{Program: true, Needed: []string{"libc.so.6"}}.Bytes()},
		scantest.File{Name: "usr/bin/n", Hard: "usr/bin/node"}, scantest.File{Name: "bin", Link: "usr/bin"}, scantest.File{Name: "s", Body: []byte("#!/bin/sh\n")},
		scantest.File{Name: "a/.wh.b"}, scantest.File{Name: "a/.wh..wh..opq"}, scantest.File{Name: "loop", Link: "loop"}, scantest.File{Name: "dev/x", Type: tar.TypeBlock},
		scantest.File{Name: "package.json", Body: []byte(`{"name":"x","os":["linux"],"optionalDependencies":{"a-linux":"1"}}`)},
		scantest.File{Name: strings.Repeat("long/", 60) + "name"}, scantest.File{Name: "../out"},
	)
	for _, how := range []string{"", "gzip", "zstd"} {
		f.Add(scantest.Pack(f, how, all))
	}
	f.Add(all[:700])
	f.Add(make([]byte, 1024))
	f.Fuzz(func(t *testing.T, b []byte) {
		z, _, err := layer.Decompress(bytes.NewReader(b))
		if err != nil {
			return
		}
		defer z.Close()
		facts, err := layer.Read(t.Context(), z)
		if err != nil {
			return
		}
		check(t, facts)
	})
}

// FuzzMembers makes a tar that is well formed out of anything: its lines are
// members, each a letter for the type, a name, and what it links to or holds.
func FuzzMembers(f *testing.F) {
	f.Add("5 usr/bin\n2 bin usr/bin\n0 bin/sh #!/bin/dash\n1 sh bin/sh\n0 bin/.wh.sh\n0 .wh..wh..opq\n2 a b\n2 b a\n0 a/b/c x")
	f.Add("2 a a/../a/..\n0 a/x y\n5 a/./b/\n2 l /\n0 l/l/l/l z\n3 dev/x\n0 ../x y\n0 package.json {\"os\":[\"linux\"]}")
	f.Fuzz(func(t *testing.T, script string) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for line := range strings.SplitSeq(script, "\n") {
			kind, rest, _ := strings.Cut(line, " ")
			name, more, _ := strings.Cut(rest, " ")
			h := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg}
			if kind != "" {
				h.Typeflag = kind[0]
			}
			body := []byte(more)
			switch h.Typeflag {
			case tar.TypeReg:
				h.Size = int64(len(body))
			case tar.TypeLink, tar.TypeSymlink:
				h.Linkname, body = more, nil
			default:
				body = nil
			}
			if w.WriteHeader(h) != nil {
				return
			}
			if _, err := w.Write(body); err != nil {
				return
			}
		}
		if w.Close() != nil {
			return
		}
		facts, err := layer.Read(t.Context(), &b)
		if err != nil {
			return // archive/tar writes some headers that it does not read
		}
		check(t, facts)
	})
}

// FuzzFacts decodes anything as the log of a layer's facts.
func FuzzFacts(f *testing.F) {
	facts, err := layer.Read(f.Context(), bytes.NewReader(scantest.Tar(f, scantest.File{Name: "a/b", Link: "c"}, scantest.File{Name: "a/c"}, scantest.File{Name: "a/.wh.d"})))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(facts.Log)
	f.Fuzz(func(t *testing.T, log []byte) {
		n := 0
		for e, err := range (&layer.Facts{Log: log}).All() {
			if n++; err != nil || len(e.Path) > len(log)*len(log) {
				return
			}
		}
		if n > len(log) {
			t.Fatalf("%d entries out of %d bytes", n, len(log))
		}
	})
}

func check(t *testing.T, facts *layer.Facts) {
	t.Helper()
	tree := &rootfs.Tree{}
	for i := range 2 {
		if err := tree.Apply(i, facts); err != nil {
			t.Fatalf("Apply: %v", err)
		}
	}
	for e, err := range facts.All() {
		if err != nil {
			t.Fatalf("All: %v", err)
		}
		if !path.IsAbs(e.Path) || path.Clean(e.Path) != e.Path || strings.Contains(e.Path, "/../") {
			t.Fatalf("path %q", e.Path)
		}
		tree.Resolve(e.Path)
	}
	for p, n := range tree.All() {
		if n == nil || !path.IsAbs(p) {
			t.Fatalf("node %v at %q", n, p)
		}
	}
}
