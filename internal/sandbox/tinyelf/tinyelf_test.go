package tinyelf_test

import (
	"bytes"
	"debug/elf"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

var hello = tinyelf.Output{Stdout: "to stdout\n", Stderr: "to stderr\n"}

func programs() map[string][]byte {
	return map[string][]byte{
		"idle":        tinyelf.Idle(),
		"ignore-term": tinyelf.IgnoreTerm(),
		"exit":        tinyelf.Exit(7, time.Second, hello),
		"segfault":    tinyelf.Segfault(time.Second, hello),
		"hog":         tinyelf.Hog(1 << 20),
		"serve":       tinyelf.Serve(8080, "ok"),
	}
}

func TestProgramsAreStaticELF(t *testing.T) {
	for name, program := range programs() {
		t.Run(name, func(t *testing.T) {
			f, err := elf.NewFile(bytes.NewReader(program))
			if err != nil {
				t.Fatal(err)
			}
			if f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC || f.Class != elf.ELFCLASS64 {
				t.Errorf("header: got %v %v %v, want EM_X86_64 ET_EXEC ELFCLASS64", f.Machine, f.Type, f.Class)
			}
			if len(f.Progs) != 1 || f.Progs[0].Type != elf.PT_LOAD {
				t.Fatalf("program headers: got %v, want one PT_LOAD and no interpreter", f.Progs)
			}
			p := f.Progs[0]
			if p.Flags != elf.PF_R|elf.PF_X {
				t.Errorf("segment flags: got %v, want readable and executable, not writable", p.Flags)
			}
			if p.Filesz != uint64(len(program)) || p.Memsz != p.Filesz {
				t.Errorf("segment size: got %d of file, %d of memory, want %d for both", p.Filesz, p.Memsz, len(program))
			}
			if f.Entry != p.Vaddr+120 {
				t.Errorf("entry: got %#x, want just behind the headers at %#x", f.Entry, p.Vaddr+120)
			}
			if len(program) > 512 {
				t.Errorf("size: got %d bytes, want at most 512", len(program))
			}
		})
	}
}
