package main

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteMakesAnExecutable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dist", "orders")
	if err := write(path); err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 {
		t.Errorf("machine: got %v, want EM_X86_64", f.Machine)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o111 == 0 {
		t.Errorf("mode: got %v, want it executable", info.Mode())
	}
}
