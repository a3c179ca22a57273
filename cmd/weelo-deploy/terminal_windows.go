package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// takesEscapes lets a console of Windows understand colours and cursor movements,
// which it does only when asked to. One that cannot is treated as no terminal.
func takesEscapes(f *os.File) bool {
	var mode uint32
	console := windows.Handle(f.Fd())
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
