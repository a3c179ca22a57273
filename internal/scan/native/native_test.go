package native_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/scan/native"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

func read(t *testing.T, b []byte) *native.Binary {
	t.Helper()
	d := native.Reader{TempDir: t.TempDir()}
	got, err := d.Read(native.Sniff(b), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return got
}

func TestRead_ELF(t *testing.T) {
	long := strings.Repeat("x", 3000)
	tests := map[string]struct {
		in   scantest.ELF
		want native.Binary
	}{
		"a program with its loader and versions": {
			scantest.ELF{
				Program: true, Interp: "/lib64/ld-linux-x86-64.so.2", Needed: []string{"libssl.so.3", "libc.so.6"}, RunPath: "$ORIGIN/../lib::/opt/lib",
				Versions: map[string][]string{"libc.so.6": {"GLIBC_2.34", "GLIBC_2.38?"}, "libssl.so.3": {"OPENSSL_3.0.0"}},
			},
			native.Binary{
				Kind: native.Program, OS: "linux", Archs: []string{"amd64"}, Interp: "/lib64/ld-linux-x86-64.so.2", Needed: []string{"libssl.so.3", "libc.so.6"},
				RunPath: []string{"$ORIGIN/../lib", "/opt/lib"}, Versions: map[string][]string{"libc.so.6": {"GLIBC_2.34"}, "libssl.so.3": {"OPENSSL_3.0.0"}}, CLib: native.Glibc,
			},
		},
		"a library that defines versions": {
			scantest.ELF{Arch: "arm64", Soname: "libc.so.6", Defines: []string{"libc.so.6", "GLIBC_2.17"}, RPath: "/a"},
			native.Binary{Kind: native.Library, OS: "linux", Archs: []string{"arm64"}, Soname: "libc.so.6", Defines: []string{"libc.so.6", "GLIBC_2.17"}, RPath: []string{"/a"}},
		},
		"a 32-bit one": {
			scantest.ELF{Arch: "arm", Needed: []string{"libc.musl-armv7.so.1"}, Soname: long},
			native.Binary{Kind: native.Library, OS: "linux", Archs: []string{"arm"}, Needed: []string{"libc.musl-armv7.so.1"}, Soname: long, CLib: native.Musl},
		},
		"an x86-64 level": {
			scantest.ELF{Program: true, Level: 3},
			native.Binary{Kind: native.Program, OS: "linux", Archs: []string{"amd64"}, Level: 3},
		},
		"a dynamic section ten megabytes in, its strings before": {
			scantest.ELF{Needed: []string{"libc.so.6"}, Pad: 10 << 20},
			native.Binary{Kind: native.Library, OS: "linux", Archs: []string{"amd64"}, Needed: []string{"libc.so.6"}, CLib: native.Glibc},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.want.Format = native.ELF
			if d := cmp.Diff(&tt.want, read(t, tt.in.Bytes())); d != "" {
				t.Errorf("Read (-want +got):\n%s", d)
			}
		})
	}
}

func TestRead_foreign(t *testing.T) {
	tests := map[string]struct {
		in   []byte
		want string
	}{
		"Mach-O":            {scantest.MachO("arm64"), "darwin/arm64"},
		"universal":         {scantest.Fat("amd64", "arm64"), "darwin/amd64+arm64"},
		"Windows program":   {scantest.PE("amd64", false), "windows/amd64"},
		"Windows library":   {scantest.PE("arm64", true), "windows/arm64"},
		"RISC-V":            {scantest.ELF{Arch: "riscv64", Needed: []string{"libc.so.6"}}.Bytes(), "linux/riscv64 glibc"},
		"32-bit x86 static": {scantest.ELF{Arch: "386", Program: true}.Bytes(), "linux/386"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := read(t, tt.in); got.String() != tt.want || got.Damaged != "" {
				t.Errorf("Read = %s, damaged %q; want %s", got, got.Damaged, tt.want)
			}
		})
	}
}

func TestSniff_tellsWhatIsNoBinary(t *testing.T) {
	class := append([]byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52}, make([]byte, 100)...)
	for name, b := range map[string][]byte{"a Java class": class, "a script": []byte("#!/bin/sh\nexec node"), "nothing": nil, "text": []byte("MZ is short")} {
		if got := native.Sniff(b); got != "" {
			t.Errorf("Sniff(%s) = %s, want none", name, got)
		}
	}
	dos := append([]byte("MZ"), make([]byte, 200)...)
	if got := read(t, dos); got.Format != "" {
		t.Errorf("Read of a file that only begins like a Windows program = %+v, want no format", got)
	}
}

// TestRead_realFiles reads what was left of real files by testdata/reduce.go:
// the bytes without which the facts would be others.
func TestRead_realFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.gz")
	if err != nil || len(files) < 8 {
		t.Fatalf("Glob = %d files, %v; want at least 8", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".gz"), func(t *testing.T) {
			b := unpack(t, name)
			want, err := os.ReadFile(strings.TrimSuffix(name, ".gz") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(read(t, b)); got != string(want) {
				t.Errorf("Read (-want +got):\n%s", cmp.Diff(string(want), got))
			}
		})
	}
}

func unpack(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// describe is the form of the .txt files beside the real ones.
func describe(b *native.Binary) string {
	return strings.Join([]string{
		b.String(), string(b.Kind), "interp " + b.Interp, "soname " + b.Soname, "needed " + strings.Join(b.Needed, " "), "rpath " + strings.Join(b.RPath, " "),
		"runpath " + strings.Join(b.RunPath, " "), "damaged " + b.Damaged,
	}, "\n") + "\n"
}

func TestRead_damaged(t *testing.T) {
	elf := scantest.ELF{Program: true, Interp: "/lib/ld.so", Needed: []string{"libc.so.6"}, Versions: map[string][]string{"libc.so.6": {"GLIBC_2.1"}}, Defines: []string{"A"}}.Bytes()
	change := func(at int, v uint64) []byte {
		b := bytes.Clone(elf)
		binary.LittleEndian.PutUint64(b[at:], v)
		return b
	}
	tests := map[string][]byte{
		"cut after the header":                 elf[:64],
		"cut in the segments' table":           elf[:100],
		"cut before the dynamic section":       elf[:len(elf)-64],
		"segments past the end":                change(32, 1<<40),
		"segments at the end of the world":     change(32, 1<<63),
		"a segment that begins past the end":   change(64+56+8, 1<<50),
		"a dynamic section of four exabytes":   change(64+56*2+32, 1<<62),
		"a class that is none":                 append([]byte{0x7f, 'E', 'L', 'F', 9}, make([]byte, 100)...),
		"nothing but the magic":                append([]byte("\x7fELF"), make([]byte, 60)...),
		"a universal file cut in its table":    scantest.Fat("amd64", "arm64")[:20],
		"a Mach-O file cut in its header":      scantest.MachO("arm64")[:20],
		"a loader without a name":              bytes.Replace(elf, []byte("/lib/ld.so"), make([]byte, 10), 1),
		"strings that do not end":              bytes.Replace(elf, []byte("libc.so.6\x00"), []byte("libc.so.6x"), 1),
		"sixty-five thousand segments claimed": func() []byte { b := bytes.Clone(elf); b[56], b[57] = 0xff, 0xff; return b }(),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			d := native.Reader{TempDir: t.TempDir()}
			got, err := d.Read(native.Sniff(b), bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatalf("Read: %v", err)
			}
			if name != "strings that do not end" && got.Damaged == "" {
				t.Errorf("Read = %+v, want it damaged", got)
			}
		})
	}
}

// TestRead_sectionTablesOutside: loaders go by segments, so a table of sections
// that points outside takes nothing away.
func TestRead_sectionTablesOutside(t *testing.T) {
	whole := scantest.ELF{Program: true, Interp: "/lib/ld.so", Needed: []string{"libc.so.6"}}.Bytes()
	for name, at := range map[string]uint64{"past the end": 1 << 40, "at the end of the world": 1 << 63, "in the header": 1} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(whole)
			binary.LittleEndian.PutUint64(b[40:], at)                                // e_shoff
			b[58], b[59], b[60], b[61], b[62], b[63] = 64, 0, 0xff, 0xff, 0xfe, 0xff // e_shentsize, e_shnum, e_shstrndx
			d := native.Reader{TempDir: t.TempDir()}
			got, err := d.Read(native.ELF, bytes.NewReader(b), int64(len(b)))
			if err != nil || got.Damaged != "" || len(got.Needed) != 1 || got.Interp != "/lib/ld.so" {
				t.Errorf("Read = %+v, %v; want what the segments say", got, err)
			}
		})
	}
}

func TestRead_saysWhatTheStreamSays(t *testing.T) {
	b := scantest.ELF{Needed: []string{"libc.so.6"}, Pad: 1 << 20}.Bytes()
	var d native.Reader
	if _, err := d.Read(native.ELF, bytes.NewReader(b[:5000]), int64(len(b))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read of a stream that ends early = %v, want io.ErrUnexpectedEOF", err)
	}
}

// TestRead_keepsLittle reads a file that claims a terabyte, all of it in the
// first segment.
func TestRead_keepsLittle(t *testing.T) {
	b := scantest.ELF{Needed: []string{"libc.so.6"}}.Bytes()
	binary.LittleEndian.PutUint64(b[64+32:], 1<<40)
	r := io.MultiReader(bytes.NewReader(b), zeros{})
	counted := &counter{r: r}
	d := native.Reader{TempDir: t.TempDir()}
	got, err := d.Read(native.ELF, counted, 1<<40)
	if err != nil || got.Damaged != "" || len(got.Needed) != 1 {
		t.Errorf("Read = %+v, %v; want its one needed library", got, err)
	}
	if counted.n > 300<<20 {
		t.Errorf("Read took %d bytes of the stream, want less than 300 MiB", counted.n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
