package main

import (
	"os"

	"golang.org/x/term"

	"github.com/weelo/weelo-deploy/internal/output"
)

// table begins a table on stdout: for people on a terminal, for scripts elsewhere.
func (s *session) table(headers ...string) *output.Table {
	a, width := s.app, 0
	if f, ok := a.stdout.(*os.File); ok && a.stdoutTerminal {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			width = w
		}
	}
	return output.NewTable(output.TableOptions{Out: a.stdout, Terminal: a.stdoutTerminal, Width: width, Now: a.now, Redactor: s.redact}, headers...)
}
