package layer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

func id(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func TestFolder_keepsFacts(t *testing.T) {
	c := layer.Folder{Dir: filepath.Join(t.TempDir(), "cache")}
	f := read(t, scantest.Tar(t,
		scantest.File{Name: "a", Body: scantest.ELF{Needed: []string{"libc.so.6"}}.Bytes()},
		scantest.File{Name: "package.json", Body: []byte(`{"name":"x","os":["linux"]}`)},
		scantest.File{Name: "../out"},
		scantest.File{Name: "l", Link: "a"},
	))
	if _, ok := c.Get(id(1)); ok {
		t.Error("Get from a folder that is not there = found")
	}
	c.Put(id(1), f)
	got, ok := c.Get(id(1))
	if !ok {
		t.Fatal("Get after Put = not found")
	}
	if d := cmp.Diff(lines(t, f), lines(t, got)); d != "" {
		t.Errorf("entries (-put +got):\n%s", d)
	}
	if d := cmp.Diff(f.Problems, got.Problems); d != "" || got.Bytes != f.Bytes || got.Files != f.Files {
		t.Errorf("facts differ: %s", d)
	}
}

func TestFolder_takesNothingDamaged(t *testing.T) {
	dir := t.TempDir()
	c := layer.Folder{Dir: dir}
	f := read(t, scantest.Tar(t, scantest.File{Name: "a", Link: "b"}))
	for name, damage := range map[string]func(b []byte) []byte{
		"cut":             func(b []byte) []byte { return b[:len(b)/2] },
		"empty":           func([]byte) []byte { return nil },
		"one bit changed": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"another version": func(b []byte) []byte { b[0] = 'W'; return b },
	} {
		t.Run(name, func(t *testing.T) {
			c.Put(id(2), f)
			file, err := filepath.Glob(filepath.Join(dir, "*.facts"))
			if err != nil || len(file) != 1 {
				t.Fatalf("Glob = %v, %v", file, err)
			}
			b, err := os.ReadFile(file[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file[0], damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, ok := c.Get(id(2)); ok {
				t.Error("Get = found")
			}
		})
	}
}

func TestFolder_isBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := layer.Folder{Dir: t.TempDir(), Now: func() time.Time { now = now.Add(time.Second); return now }}
	f := read(t, scantest.Tar(t, scantest.File{Name: "a", Link: "b"}))
	for n := range 520 {
		c.Put(id(n), f)
		c.Get(id(0)) // used again and again
	}
	files, err := os.ReadDir(c.Dir)
	if err != nil || len(files) != 512 {
		t.Errorf("the folder holds %d files, %v; want 512", len(files), err)
	}
	if _, ok := c.Get(id(0)); !ok {
		t.Error("the one that was used last is gone")
	}
	if _, ok := c.Get(id(1)); ok {
		t.Error("the one that was not used for longest is there")
	}
}

func TestFolder_refusesOtherNames(t *testing.T) {
	c := layer.Folder{Dir: t.TempDir()}
	for _, name := range []string{"", "sha256:../../x", "sha256:ABC", "md5:00"} {
		c.Put(name, &layer.Facts{})
		if _, ok := c.Get(name); ok {
			t.Errorf("Get(%q) = found", name)
		}
	}
	if files, err := os.ReadDir(c.Dir); err != nil || len(files) != 0 {
		t.Errorf("the folder holds %v, %v", files, err)
	}
}
