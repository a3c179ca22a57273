// Command broken writes the program of an image that dies in production: a static
// linux/amd64 ELF file, made byte by byte, that prints a line as if it were well,
// waits a second, and writes to address 0. As the first process of a container it
// ends with exit code 139, like a Node process that has loaded a native module
// built for another C library. No compiler is needed; a Go program would not do,
// because its runtime catches SIGSEGV and exits with 2.
//
//	go run ./examples/broken FILE
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: broken FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	program := tinyelf.Segfault(time.Second, tinyelf.Output{Stdout: "level=INFO msg=listening address=[::]:8080\n"})
	return os.WriteFile(path, program, 0o755)
}
