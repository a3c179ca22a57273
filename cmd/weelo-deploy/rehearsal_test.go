package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/redact"
	"github.com/weelo/weelo-deploy/internal/release"
)

func TestRealValuesOfARehearsalAreMasked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("# real\nDATABASE_URL=postgres://app:hunter2@db/app\nPORT=3000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &session{redact: redact.New(), config: &config.Config{}}
	env, err := s.rehearsalEnvironment(release.Settings{Environment: map[string]string{"A": "real"}}, file)
	if err != nil || env["A"] != placeholder || env["DATABASE_URL"] != "postgres://app:hunter2@db/app" {
		t.Fatalf("environment = %v, %v", env, err)
	}
	for text, want := range map[string]string{
		"cannot reach postgres://app:hunter2@db/app": "cannot reach ***", "A is " + placeholder: "A is " + placeholder, "listens on 3000": "listens on 3000",
	} {
		if got := s.redact.String(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
