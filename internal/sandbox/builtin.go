package sandbox

import (
	"cmp"
	"fmt"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

// plantBuiltin makes an image of one small program, at /app. The program is for
// linux/amd64 whatever the image claims: one that claims another platform is
// for being refused.
func (s *Server) plantBuiltin(repository string, b seed.Builtin) (string, error) {
	program, err := builtinProgram(b)
	if err != nil {
		return "", err
	}
	return s.registry.PutTiny(repository, "", map[string][]byte{"app": program}, registry.TinyConfig{
		Entrypoint: []string{"/app"}, OS: b.OS, Arch: b.Arch,
	})
}

func builtinProgram(b seed.Builtin) ([]byte, error) {
	out := tinyelf.Output{Stdout: b.Stdout, Stderr: b.Stderr}
	switch b.Program {
	case seed.Serve:
		return tinyelf.Serve(cmp.Or(b.Port, 8080), cmp.Or(b.Body, "ok")), nil
	case seed.Idle:
		return tinyelf.Idle(), nil
	case seed.IgnoreTerm:
		return tinyelf.IgnoreTerm(), nil
	case seed.Exit:
		return tinyelf.Exit(b.Code, time.Duration(b.After), out), nil
	case seed.Segfault:
		return tinyelf.Segfault(time.Duration(b.After), out), nil
	case seed.Hog:
		return tinyelf.Hog(uint32(b.MemoryMiB) << 20), nil
	}
	return nil, fmt.Errorf("there is no built-in program %q", b.Program)
}
