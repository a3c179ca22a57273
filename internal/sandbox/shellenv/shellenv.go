// Package shellenv writes an environment that turns AWS clients to a sandbox, in
// the words of a shell ([Script]) and for a command ([Merge]). What is set already
// and would win over it is unset.
package shellenv

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Shell is a family of shells that set variables alike.
type Shell string

// Shells.
const (
	POSIX      Shell = "sh" // and bash, zsh, dash, ksh
	Fish       Shell = "fish"
	PowerShell Shell = "powershell"
)

var families = map[string]Shell{
	"sh": POSIX, "bash": POSIX, "zsh": POSIX, "dash": POSIX, "ash": POSIX, "ksh": POSIX, "mksh": POSIX, "busybox": POSIX,
	"fish": Fish, "powershell": PowerShell, "pwsh": PowerShell,
}

// Named is the shell that a program is, by its name or path.
func Named(program string) (Shell, bool) {
	name := path.Base(strings.ReplaceAll(strings.TrimSpace(program), `\`, "/"))
	name = strings.TrimSuffix(strings.ToLower(strings.TrimPrefix(name, "-")), ".exe") // -bash is a login shell
	s, ok := families[name]
	return s, ok
}

// Script sets env (NAME=value) and unsets the other names, a line each.
func Script(s Shell, env, unset []string) string {
	var b strings.Builder
	for _, name := range unset {
		fmt.Fprintf(&b, map[Shell]string{POSIX: "unset %s\n", Fish: "set -e %s\n", PowerShell: "$env:%s = $null\n"}[s], name)
	}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		switch s {
		case Fish:
			value = strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value)
			fmt.Fprintf(&b, "set -gx %s '%s'\n", name, value)
		case PowerShell: // which takes typographic quotes for quotes too
			value = strings.NewReplacer("'", "''", "‘", "‘‘", "’", "’’", "‚", "‚‚", "‛", "‛‛").Replace(value)
			fmt.Fprintf(&b, "$env:%s = '%s'\n", name, value)
		default:
			value = strings.ReplaceAll(value, "'", `'\''`)
			fmt.Fprintf(&b, "export %s='%s'\n", name, value)
		}
	}
	return b.String()
}

// rivals are variables that would lead a client elsewhere, or make it refuse an
// address of its own, whatever AWS_ENDPOINT_URL says.
var rivals = []string{
	"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
	"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
}

// Rivals lists the names in an environment that would win over a sandbox's, in
// order. AWS_ENDPOINT_URL_ECS and its like go before AWS_ENDPOINT_URL.
func Rivals(environ []string) []string {
	var names []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "AWS_ENDPOINT_URL_") || slices.Contains(rivals, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Merge is the environment of a command: environ without rivals, with env in
// place of what it names.
func Merge(environ, env []string) []string {
	drop := Rivals(environ)
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		drop = append(drop, name)
	}
	kept := slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(drop, name)
	})
	return append(kept, env...)
}
