//go:build !windows

package main

import "os"

// takesEscapes says whether a terminal understands colours and cursor movements:
// TERM tells of those that do not.
func takesEscapes(*os.File) bool { return true }
