package native_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/scan/native"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

// seeds adds files of every format, and the reduced real ones.
func seeds(f *testing.F) {
	for _, b := range [][]byte{
		scantest.ELF{Program: true, Interp: "/lib/ld-musl-x86_64.so.1", Needed: []string{"libc.musl-x86_64.so.1"}, RPath: "$ORIGIN"}.Bytes(),
		scantest.ELF{Arch: "arm64", Soname: "libx.so", Needed: []string{"libc.so.6"}, Versions: map[string][]string{"libc.so.6": {"GLIBC_2.17", "GLIBC_2.28"}}, Defines: []string{"X_1", "X_2"}, Level: 2}.Bytes(),
		scantest.ELF{Arch: "386", Needed: []string{"a", "b"}, RunPath: "/a:/b"}.Bytes(),
		scantest.MachO("arm64"), scantest.Fat("amd64", "arm64"), scantest.PE("amd64", true), scantest.PE("386", false),
	} {
		f.Add(b)
	}
	real, err := filepath.Glob("testdata/*.gz")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range real {
		if b := unpack(f, name); len(b) < 100<<10 { // larger ones slow the search down
			f.Add(b)
		}
	}
}

// fuzzFormat reads anything as one format: the facts stay within their limits,
// a second reading gives the same, and so does one
// that may go back in the file.
func fuzzFormat(f *testing.F, format native.Format) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var d native.Reader
		got, err := d.Read(format, bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("Read of %d bytes that are all there: %v", len(b), err)
		}
		if len(got.Needed) > 1024 || len(got.Defines) > 8192 || len(got.RPath) > 256 || len(got.RunPath) > 256 || len(got.Interp) > 4096 {
			t.Fatalf("Read keeps more than its limits: %d needed, %d defined, %d rpath", len(got.Needed), len(got.Defines), len(got.RPath))
		}
		again, err := d.Read(format, bytes.NewReader(b), int64(len(b)))
		if err != nil || again.String() != got.String() || again.Damaged != got.Damaged {
			t.Fatalf("a second Read = %v, %v; the first gave %v", again, err, got)
		}
		at, err := d.ReadAt(format, bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("ReadAt: %v", err)
		}
		if got.Damaged != "" && at.Damaged != "" {
			got.Damaged, at.Damaged = "", "" // the same fault, met in other words
		}
		if d := cmp.Diff(got, at); d != "" && !strings.Contains(got.Damaged, "single pass") {
			t.Fatalf("Read and ReadAt differ:\n%s", d)
		}
	})
}

func FuzzELF(f *testing.F)   { fuzzFormat(f, native.ELF) }
func FuzzMachO(f *testing.F) { fuzzFormat(f, native.MachO) }
func FuzzFat(f *testing.F)   { fuzzFormat(f, native.Fat) }
func FuzzPE(f *testing.F)    { fuzzFormat(f, native.PE) }
