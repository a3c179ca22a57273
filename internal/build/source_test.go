package build

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// repository is a new git repository with one commit of 2024-05-06T07:08:09Z.
func repository(t *testing.T) (dir string, run func(args ...string)) {
	t.Helper()
	dir = t.TempDir()
	run = func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b.c"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2024-05-06T09:08:09+0200", "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	run("init", "--quiet", "--initial-branch=trunk")
	put(t, dir, "file", "one")
	put(t, dir, ".gitignore", "ignored\n")
	run("add", ".")
	run("commit", "--quiet", "--message=first")
	return dir, run
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReadSource(t *testing.T) {
	dir, run := repository(t)
	run("remote", "add", "origin", "https://me:token@git.example/weelo/backend.git")
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSource(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	want := Source{Commit: s.Commit, Time: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC), Origin: "https://git.example/weelo/backend.git", Branch: "trunk"}
	if s != want || len(s.Commit) != 40 {
		t.Errorf("ReadSource = %+v, want %+v", s, want)
	}
	put(t, dir, "ignored", "x")
	if s, err := ReadSource(t.Context(), dir); err != nil || s.Dirty {
		t.Errorf("an ignored file: %+v, %v; want it clean", s, err)
	}
	for name, change := range map[string]string{"file": "two", "untracked": "x"} {
		put(t, dir, name, change)
		if s, err := ReadSource(t.Context(), dir); err != nil || !s.Dirty {
			t.Errorf("with %s changed: %+v, %v; want it dirty", name, s, err)
		}
		run("stash", "--include-untracked", "--quiet")
	}
	run("checkout", "--quiet", "--detach")
	if s, err := ReadSource(t.Context(), dir); err != nil || s.Branch != "" {
		t.Errorf("without a branch: %+v, %v", s, err)
	}
}

func TestReadSource_NoGit(t *testing.T) {
	empty := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "git", "-C", empty, "init", "--quiet").CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	for name, dir := range map[string]string{"a folder outside of git": t.TempDir(), "a repository without a commit": empty} {
		if _, err := ReadSource(t.Context(), dir); !errors.Is(err, ErrNoGit) {
			t.Errorf("%s: %v, want ErrNoGit", name, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := ReadSource(t.Context(), empty); !errors.Is(err, ErrNoGit) {
		t.Errorf("without git: %v, want ErrNoGit", err)
	}
}

func TestWithoutCredentials(t *testing.T) {
	for in, want := range map[string]string{
		"https://github.com/weelo/backend.git":             "https://github.com/weelo/backend.git",
		"https://user:secret@github.com/weelo/backend.git": "https://github.com/weelo/backend.git",
		"https://ghp_token@github.com/weelo/backend.git":   "https://github.com/weelo/backend.git",
		"https://h/x.git?private_token=secret#y":           "https://h/x.git",
		"git@github.com:weelo/backend.git":                 "git@github.com:weelo/backend.git",
		"ssh://git:secret@host:22/x.git":                   "ssh://git@host:22/x.git",
		"/srv/git/backend.git":                             "/srv/git/backend.git",
		"https://user:%zz@host/x":                          "",
	} {
		if got := withoutCredentials(in); got != want {
			t.Errorf("withoutCredentials(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLabels(t *testing.T) {
	s := Source{Commit: "abc", Time: time.Date(2024, 5, 6, 9, 8, 9, 0, time.FixedZone("", 7200)), Origin: "https://h/x"}
	want := map[string]string{labelRevision: "abc", labelCreated: "2024-05-06T07:08:09Z", labelSource: "https://h/x", "mine": "1"}
	if diff := cmp.Diff(want, Labels(s, map[string]string{"mine": "1"})); diff != "" {
		t.Errorf("Labels (-want +got):\n%s", diff)
	}
	if s.Revision() != "abc" || s.TagSuffix() != "" || (Source{Dirty: true}).Revision() != "" {
		t.Errorf("Revision = %q, TagSuffix = %q", s.Revision(), s.TagSuffix())
	}
	s.Dirty = true
	if s.Revision() != "abc-dirty" || s.TagSuffix() != "-dirty" {
		t.Errorf("of a dirty tree: Revision = %q, TagSuffix = %q", s.Revision(), s.TagSuffix())
	}
	if got := Labels(s, map[string]string{labelSource: "other"}); got[labelRevision] != "abc-dirty" || got[labelSource] != "other" {
		t.Errorf("Labels of a dirty tree = %v", got)
	}
	if got := Labels(Source{}, nil); len(got) != 0 {
		t.Errorf("Labels without a source = %v, want none", got)
	}
}

func TestSourceEpoch(t *testing.T) {
	attrs := frontendAttrs(Request{Labels: map[string]string{labelCreated: "2024-05-06T07:08:09Z"}}, inputs{})
	if attrs["build-arg:SOURCE_DATE_EPOCH"] != "1714979289" {
		t.Errorf("attributes = %v, want the commit's time", attrs)
	}
	attrs = frontendAttrs(Request{Labels: map[string]string{labelCreated: "2024-05-06T07:08:09Z"}, Args: map[string]string{"SOURCE_DATE_EPOCH": "7"}}, inputs{})
	if attrs["build-arg:SOURCE_DATE_EPOCH"] != "7" {
		t.Errorf("attributes = %v, want the user's own", attrs)
	}
}
