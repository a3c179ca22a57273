package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestEveryCommandHasAManPageThatSaysWhatItsHelpSays(t *testing.T) {
	root := newRootCommand(&app{getenv: func(string) string { return "" }})
	dir := t.TempDir()
	if err := writeManPages(root, dir); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range documented(root) {
		b, err := os.ReadFile(filepath.Join(dir, manName(cmd)+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		page := strings.ReplaceAll(string(b), `\-`, "-")
		for _, part := range []string{".TH ", ".SH NAME\n" + manName(cmd) + " - ", ".SH SYNOPSIS\n", ".SH SEE ALSO\n"} {
			if !strings.Contains(page, part) {
				t.Errorf("the page of %s has no %q", cmd.CommandPath(), part)
			}
		}
		for _, flag := range flagNames(cmd) {
			if !strings.Contains(page, flag) {
				t.Errorf("the page of %s does not name %s", cmd.CommandPath(), flag)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != len(documented(root)) || len(files) < 15 {
		t.Errorf("%d pages for %d commands (%v)", len(files), len(documented(root)), err)
	}
}

// request finds what roff takes for a command of its own.
var request = regexp.MustCompile(`(?m)^[.'](\S+)`)

func TestATextCannotCommandTheManReader(t *testing.T) {
	for in, want := range map[string]string{
		".so /etc/passwd": `\&.so /etc/passwd`, "'x": `\&'x`, `a\fBb`: `a\efBb`, "--flag": `\-\-flag`,
	} {
		if got := roffText(in); got != want {
			t.Errorf("roffText(%q) = %q, want %q", in, got, want)
		}
	}
	for _, cmd := range documented(newRootCommand(&app{getenv: func(string) string { return "" }})) {
		for _, m := range request.FindAllStringSubmatch(manPage(cmd, "2026-11-22"), -1) {
			if !strings.Contains(" TH SH TP nf fi ", " "+m[1]+" ") {
				t.Errorf("the page of %s has the request %q", cmd.CommandPath(), m[0])
			}
		}
	}
}
