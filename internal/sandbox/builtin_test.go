package sandbox

import (
	"bytes"
	"debug/elf"
	"testing"

	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

func TestBuiltinProgram(t *testing.T) {
	seen := make(map[string]string)
	for _, name := range []string{seed.Serve, seed.Idle, seed.IgnoreTerm, seed.Exit, seed.Segfault, seed.Hog} {
		program, err := builtinProgram(seed.Builtin{Program: name, MemoryMiB: 1})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f, err := elf.NewFile(bytes.NewReader(program))
		if err != nil || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC {
			t.Errorf("%s is no program for linux/amd64: %v", name, err)
		}
		if other, there := seen[string(program)]; there {
			t.Errorf("%s is the same program as %s", name, other)
		}
		seen[string(program)] = name
	}
	if _, err := builtinProgram(seed.Builtin{Program: "emacs"}); err == nil {
		t.Error("an unknown program is made")
	}
}
