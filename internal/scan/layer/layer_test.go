package layer_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

func read(t *testing.T, b []byte) *layer.Facts {
	t.Helper()
	f, err := layer.Read(t.Context(), bytes.NewReader(b))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return f
}

// lines are the entries in a form that is easy to compare.
func lines(t *testing.T, f *layer.Facts) []string {
	t.Helper()
	kinds := []string{"plain", "dir", "symlink", "hardlink", "other", "binary", "script", "text", "package", "lock", "whiteout", "opaque"}
	var out []string
	for e, err := range f.All() {
		if err != nil {
			t.Fatalf("All: %v", err)
		}
		s := kinds[e.Kind] + " " + e.Path
		if e.Exec {
			s += " x"
		}
		for _, more := range []string{e.Target, e.Interp, e.Text} {
			if more != "" {
				s += " " + more
			}
		}
		if e.Binary != nil {
			s += " " + e.Binary.String()
		}
		out = append(out, s)
	}
	return out
}

func TestRead_reducesEachKind(t *testing.T) {
	f := read(t, scantest.Tar(t,
		scantest.File{Name: "./usr/"},
		scantest.File{Name: "usr/bin/node", Body: scantest.ELF{Program: true, Interp: "/lib64/ld-linux-x86-64.so.2"}.Bytes()},
		scantest.File{Name: "usr/bin/nodejs", Hard: "usr/bin/node"},
		scantest.File{Name: "/bin", Link: "usr/bin"},
		scantest.File{Name: "start.sh", Body: []byte("#! /bin/sh -e \r\nexec node\n")},
		scantest.File{Name: "etc/os-release", Body: []byte("ID=debian\n"), Plain: true},
		scantest.File{Name: "readme", Body: []byte("hello"), Plain: true},
		scantest.File{Name: "empty", Plain: true},
		scantest.File{Name: "dev/null", Type: tar.TypeChar},
		scantest.File{Name: "app/.wh.old"},
		scantest.File{Name: "var/.wh..wh..opq"},
		scantest.File{Name: ".wh..wh.plnk"},
	))
	want := []string{
		"dir /usr", "binary /usr/bin/node x linux/amd64 glibc", "hardlink /usr/bin/nodejs /usr/bin/node", "symlink /bin usr/bin",
		"script /start.sh x /bin/sh -e \r", "text /etc/os-release ID=debian\n", "plain /readme", "plain /empty", "other /dev/null",
		"whiteout /app/old", "opaque /var",
	}
	if d := cmp.Diff(want, lines(t, f)); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	if f.Files != 5 || len(f.Problems) != 0 {
		t.Errorf("Files = %d, Problems = %v; want 5 and none", f.Files, f.Problems)
	}
}

func TestRead_keepsPackages(t *testing.T) {
	f := read(t, scantest.Tar(t,
		scantest.File{Name: "app/package.json", Body: []byte(`{"name":"app","scripts":{"start":"node ."}}`)},
		scantest.File{Name: "app/node_modules/a/package.json", Body: []byte("\xef\xbb\xbf" + `{"name":"a","os":["linux","!win32"],"cpu":"x64","optionalDependencies":{"b-linux":"1","a-linux":"1"},"scripts":{"x":"y"}}`)},
		scantest.File{Name: "app/node_modules/plain/package.json", Body: []byte(`{"name":"plain"}`)},
		scantest.File{Name: "app/node_modules/broken/package.json", Body: []byte(`{"name":`)},
		scantest.File{Name: "app/node_modules/.package-lock.json", Body: []byte(`{"packages":{"node_modules/d":{"dev":true},"node_modules/p":{}}}`)},
	))
	want := []*layer.PackageJSON{
		{Name: "app", Scripts: map[string]string{"start": "node ."}},
		{Name: "a", OS: []string{"linux", "!win32"}, CPU: []string{"x64"}, Optional: []string{"a-linux", "b-linux"}},
	}
	if d := cmp.Diff(want, f.Packages); d != "" {
		t.Errorf("Packages (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]*layer.LockJSON{{Dev: []string{"node_modules/d"}}}, f.Locks); d != "" {
		t.Errorf("Locks (-want +got):\n%s", d)
	}
}

func TestRead_hostileMembers(t *testing.T) {
	long := strings.Repeat("d/", 3000) + "f"
	f := read(t, scantest.Tar(t,
		scantest.File{Name: "../../etc/passwd"},
		scantest.File{Name: "a/../../b"},
		scantest.File{Name: "/absolute"},
		scantest.File{Name: "h", Hard: "../../etc/shadow"},
		scantest.File{Name: long},
		scantest.File{Name: "x/.wh..."},
		scantest.File{Name: "fine"},
	))
	if d := cmp.Diff([]string{"plain /absolute x", "plain /fine x"}, lines(t, f)); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	if len(f.Problems) != 5 {
		t.Errorf("Problems = %+v, want 5", f.Problems)
	}
}

// TestRead_devices: device files, pipes and types that nobody knows are entries
// without contents, and none of them is opened.
func TestRead_devices(t *testing.T) {
	f := read(t, scantest.Tar(t,
		scantest.File{Name: "dev/sda", Type: tar.TypeBlock}, scantest.File{Name: "dev/null", Type: tar.TypeChar},
		scantest.File{Name: "run/pipe", Type: tar.TypeFifo}, scantest.File{Name: "odd", Type: 'Z'}, scantest.File{Name: "fine"},
	))
	if d := cmp.Diff([]string{"other /dev/sda", "other /dev/null", "other /run/pipe", "other /odd", "plain /fine x"}, lines(t, f)); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

// TestRead_longNames: a name that claims a gigabyte is refused before it is read.
func TestRead_longNames(t *testing.T) {
	for name, kind := range map[string]byte{"GNU's long name": tar.TypeGNULongName, "GNU's long link": tar.TypeGNULongLink, "a PAX record": tar.TypeXHeader} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "././@LongLink", Size: 1 << 30, Typeflag: tar.TypeReg, Format: tar.FormatGNU}); err != nil {
				t.Fatal(err)
			}
			retype(b.Bytes()[:512], kind)
			given := &counter{r: io.MultiReader(&b, letters{})}
			_, err := layer.Read(t.Context(), given)
			if err == nil || given.n > 4<<20 {
				t.Errorf("Read = %v after %d bytes, want an error within 4 MiB", err, given.n)
			}
		})
	}
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func TestRead_cutShort(t *testing.T) {
	whole := scantest.Tar(t, scantest.File{Name: "a", Body: scantest.ELF{Pad: 1 << 20, Needed: []string{"x"}}.Bytes()}, scantest.File{Name: "b", Body: make([]byte, 5000)})
	for _, n := range []int{100, 700, 300_000, len(whole) - 1024 - 5000} {
		if _, err := layer.Read(t.Context(), bytes.NewReader(whole[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Read of the first %d bytes = %v, want io.ErrUnexpectedEOF", n, err)
		}
	}
}

// TestRead_zeros reads a file of a gigabyte of zeros, and one that a sparse
// header stretches, through the reader that runs ahead.
func TestRead_zeros(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	const gig = 1 << 30
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Mode: 0o755, Size: gig, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	end := scantest.Tar(t, scantest.File{Name: "after"})
	r := io.MultiReader(&b, io.LimitReader(zeros{}, gig), bytes.NewReader(end))
	a := layer.Ahead(t.Context(), r, nil)
	defer a.Close()
	f, err := layer.Read(t.Context(), a)
	if err != nil || a.Drain() != nil {
		t.Fatalf("Read: %v", err)
	}
	if d := cmp.Diff([]string{"plain /zeros x", "plain /after x"}, lines(t, f)); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRead_sparse: archive/tar cannot write sparse members, so this one is a
// PAX header by hand (GNU sparse format 1.0) that claims a terabyte of holes.
func TestRead_sparse(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	body := fmt.Sprintf("1\n%d\n0\n", 1<<40)
	body += strings.Repeat("\x00", 512-len(body))
	pax := ""
	for _, kv := range [][2]string{{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", "holes"}, {"GNU.sparse.realsize", fmt.Sprint(1 << 40)}} {
		line := fmt.Sprintf(" %s=%s\n", kv[0], kv[1])
		n := len(line) + 2
		pax += fmt.Sprint(n) + line
	}
	for _, m := range []struct {
		kind byte
		body string
	}{{tar.TypeXHeader, pax}, {tar.TypeReg, body}} {
		h := &tar.Header{Name: "member", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(m.body)), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.body); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if m.kind == tar.TypeXHeader {
			retype(b.Bytes()[:512], tar.TypeXHeader)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := layer.Read(t.Context(), bytes.NewReader(b.Bytes()))
	if err == nil {
		if d := cmp.Diff([]string{"plain /holes"}, lines(t, f)); d != "" {
			t.Errorf("entries (-want +got):\n%s", d)
		}
		return
	}
	if !strings.Contains(err.Error(), "larger than") {
		t.Errorf("Read = %v, want the terabyte named or passed over", err)
	}
}

// retype changes a header's type and its checksum.
func retype(h []byte, kind byte) {
	h[156] = kind
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h[:512] {
		sum += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// TestRead_manyEntries reads a million names without keeping more than a
// few tens of bytes of each.
func TestRead_manyEntries(t *testing.T) {
	const n = manyEntries
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(writeNames(pw, n)) }()
	f, err := layer.Read(t.Context(), bufio.NewReaderSize(pr, 1<<20))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	if f.Files != n || len(f.Log) > 16*n {
		t.Errorf("Read keeps %d bytes of %d files, want at most 16 each", len(f.Log), f.Files)
	}
}

// writeNames writes the headers of n empty files, each made of one by changing its
// name, which is much faster than archive/tar.
func writeNames(w io.Writer, n int) error {
	name := func(i int) string { return fmt.Sprintf("some/folder/%07d/file-%07d", i/100, i) }
	var one bytes.Buffer
	if err := tar.NewWriter(&one).WriteHeader(&tar.Header{Name: name(0), Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	h, sum := one.Bytes()[:512], 0
	copy(h[148:156], "        ")
	for i, c := range h {
		if i >= len(name(0)) {
			sum += int(c)
		}
	}
	buf := bufio.NewWriterSize(w, 1<<20)
	for i := range n {
		s := name(i)
		all := sum
		for _, c := range []byte(s) {
			all += int(c)
		}
		copy(h, s)
		copy(h[148:156], fmt.Sprintf("%06o\x00 ", all))
		if _, err := buf.Write(h); err != nil {
			return err
		}
	}
	_, err := buf.Write(make([]byte, 1024))
	return errors.Join(err, buf.Flush())
}

func TestRead_stops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := layer.Read(ctx, bytes.NewReader(scantest.Tar(t))); !errors.Is(err, context.Canceled) {
		t.Errorf("Read with a context that ended = %v, want context.Canceled", err)
	}
}

func TestDecompress(t *testing.T) {
	plain := scantest.Tar(t, scantest.File{Name: "a", Body: []byte("x")})
	for _, how := range []string{"gzip", "zstd", ""} {
		packed := scantest.Pack(t, how, plain)
		for name, r := range map[string]io.Reader{"a file": bytes.NewReader(packed), "a stream": io.MultiReader(bytes.NewReader(packed))} {
			z, kind, err := layer.Decompress(r)
			if err != nil {
				t.Fatalf("Decompress %q of %s: %v", how, name, err)
			}
			got, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(got, plain) || (kind != how && kind != "plain") {
				t.Errorf("Decompress %q of %s = %d bytes, %q, %v", how, name, len(got), kind, err)
			}
		}
	}
	if _, _, err := layer.Decompress(strings.NewReader("\xfd7zXZ\x00....")); err == nil || !strings.Contains(err.Error(), "xz") {
		t.Errorf("Decompress of xz = %v, want it named", err)
	}
}

func TestAhead_givesAllAndStops(t *testing.T) {
	in := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	var seen bytes.Buffer
	a := layer.Ahead(t.Context(), io.MultiReader(bytes.NewReader(in)), &seen)
	got := make([]byte, 16)
	if _, err := io.ReadFull(a, got); err != nil {
		t.Fatal(err)
	}
	if at, err := a.Seek(1_000_000, io.SeekCurrent); err != nil || at != 1_000_016 {
		t.Fatalf("Seek = %d, %v", at, err)
	}
	rest, err := io.ReadAll(a)
	if err != nil || !bytes.Equal(rest, in[1_000_016:]) || !bytes.Equal(seen.Bytes(), in) {
		t.Errorf("ReadAll = %d bytes, %v; seen %d of %d", len(rest), err, seen.Len(), len(in))
	}
	if _, err := a.Seek(10, io.SeekCurrent); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Seek past the end = %v, want io.ErrUnexpectedEOF", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	early := layer.Ahead(t.Context(), zeros{}, nil)
	if err := early.Close(); err != nil { // returns, though nobody reads
		t.Errorf("Close before the end: %v", err)
	}
}
