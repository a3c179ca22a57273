package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

// write puts a configuration into a new folder and gives the folder.
func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, FileName), text)
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// load loads text, which must be fine.
func load(t *testing.T, text string, o Options) *Config {
	t.Helper()
	if o.Dir == "" {
		o.Dir = write(t, text)
	}
	if o.Environ == nil {
		o.Environ = []string{"HOME=/home/ana"}
	}
	c, err := Load(o)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// report is everything that a failed Load tells, as a person would see it.
func report(err error) string {
	var b strings.Builder
	for _, f := range event.FailuresOf(err) {
		b.WriteString(string(f.Code) + " " + f.Message + "\n")
		for _, e := range f.Evidence {
			b.WriteString("  " + strings.TrimRight(e, " ") + "\n")
		}
		for _, h := range f.Hints {
			b.WriteString("  hint: " + h + "\n")
		}
	}
	return b.String()
}

// refuse loads text, which must not be fine, and gives the report.
func refuse(t *testing.T, text string, o Options) string {
	t.Helper()
	if o.Dir == "" {
		o.Dir = write(t, text)
	}
	if o.Environ == nil {
		o.Environ = []string{"HOME=/home/ana"}
	}
	c, err := Load(o)
	if err == nil {
		t.Fatalf("Load = %+v, want an error", c.Settings)
	}
	return report(err)
}
