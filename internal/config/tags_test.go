package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestConfig_ExpandTags(t *testing.T) {
	sha := strings.Repeat("0123456789", 4)
	c := load(t, "image: {tags: [\"{{.GitSHA}}\", \"{{.Env}}-{{ .GitShortSHA }}\", \"{{.GitBranch}}\", v1, v1]}\nenvironments: {prod: {}}\n", Options{Env: "prod"})
	got, err := c.ExpandTags(Vars{GitSHA: sha, GitBranch: "feature/a b"})
	if err != nil {
		t.Fatalf("ExpandTags: %v", err)
	}
	if d := cmp.Diff([]string{sha, "prod-0123456", "feature-a-b", "v1"}, got); d != "" {
		t.Errorf("tags (-want +got):\n%s", d)
	}

	t.Run("of a tree with changes", func(t *testing.T) {
		got, err := c.ExpandTags(Vars{GitSHA: sha, GitBranch: "main", Suffix: "-dirty"})
		if err != nil {
			t.Fatalf("ExpandTags: %v", err)
		}
		if d := cmp.Diff([]string{sha + "-dirty", "prod-0123456-dirty", "main", "v1"}, got); d != "" {
			t.Errorf("tags (-want +got):\n%s", d)
		}
	})
	t.Run("without values", func(t *testing.T) {
		c := load(t, "image: {tags: [\"{{.GitSHA}}\", \"{{.Env}}\", x]}\n", Options{})
		_, err := c.ExpandTags(Vars{})
		fs := event.FailuresOf(err)
		if len(fs) != 2 || fs[0].Code != event.CodeUsage {
			t.Fatalf("failures = %+v, want two with USAGE", fs)
		}
		if want := `weelo-deploy.yaml:1:16: tag "{{.GitSHA}}": {{.GitSHA}} has no value: this is no git work tree with a commit`; fs[0].Message != want {
			t.Errorf("message = %q, want %q", fs[0].Message, want)
		}
		if !strings.Contains(fs[0].Hints[0], "--tag") {
			t.Errorf("hints = %q, want --tag named", fs[0].Hints)
		}
	})
	t.Run("too long", func(t *testing.T) {
		c := load(t, "image: {tags: [\"{{.GitBranch}}\"]}\n", Options{})
		if _, err := c.ExpandTags(Vars{GitBranch: strings.Repeat("b", 129)}); err == nil || !strings.Contains(err.Error(), "no valid tag") {
			t.Errorf("err = %v, want no valid tag", err)
		}
	})
}
