package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/weelo/weelo-deploy/internal/output"
)

// table begins a table on stdout: for people on a terminal, for scripts elsewhere.
func (s *session) table(headers ...string) *output.Table {
	a, width := s.app, 0
	if a.stdoutTerminal {
		width, _ = sizeOf(a.stdout)
	}
	return output.NewTable(output.TableOptions{Out: a.stdout, Terminal: a.stdoutTerminal, Width: width, Now: a.now, Redactor: s.redact}, headers...)
}

// size is that of the terminal that the story goes to.
func (a *app) size() (columns, lines int) { return sizeOf(a.stderr) }

// sizeOf is the size of a terminal, zero when it is none or does not tell.
func sizeOf(w io.Writer) (columns, lines int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	columns, lines, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, lines
}
