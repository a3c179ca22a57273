package build

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestDockerfile_lineOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Dockerfile")
	if err := os.WriteFile(path, []byte("FROM node:22 AS build\nRUN npm ci\n\nRUN npm test\nFROM node:22\nRUN npm test\nRUN a \\\n  b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := readDockerfile(path)
	if err != nil {
		t.Fatal(err)
	}
	for vertex, want := range map[string]int{
		"[build 2/3] RUN npm ci": 2, "[2/3] RUN npm test": 0 /* there are two */, "[internal] load build context": 0, "RUN npm ci": 0,
	} {
		if got := d.lineOf(vertex); got != want {
			t.Errorf("lineOf(%q) = %d, want %d", vertex, got, want)
		}
	}
}

func TestDockerfile_parseErrorNamesItsLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Dockerfile")
	if err := os.WriteFile(path, []byte("FROM scratch\n\nRUNN x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := readDockerfile(path)
	if f := event.FailuresOf(err)[0]; f.File != path || f.Line != 3 {
		t.Errorf("the failure %v is about %s:%d, want line 3 of the Dockerfile", err, f.File, f.Line)
	}
}
