package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ErrNoGit: there is no commit to name; the folder is not in a git work tree,
// the repository is empty, or git is not installed.
var ErrNoGit = errors.New("no git commit")

// Source is what is built, as git knows it.
type Source struct {
	Commit string    // full hash
	Time   time.Time // committer's time, UTC
	Dirty  bool      // files differ from the commit, or are not in it and not ignored
	Origin string    // URL of the remote "origin" without credentials; may be empty
	Branch string    // empty when no branch is checked out
}

// dirtySuffix marks a commit that is not all of what was built.
const dirtySuffix = "-dirty"

// TagSuffix is what a tag that names the commit must end with: "-dirty" where
// the tree has changes, so that it does not pass for the commit. It is empty
// otherwise.
func (s Source) TagSuffix() string {
	if s.Dirty {
		return dirtySuffix
	}
	return ""
}

// Revision is the commit with TagSuffix; empty without a commit.
func (s Source) Revision() string {
	if s.Commit == "" {
		return ""
	}
	return s.Commit + s.TagSuffix()
}

// ReadSource asks git about the work tree that dir is in. It changes nothing,
// git's index included.
func ReadSource(ctx context.Context, dir string) (Source, error) {
	head, err := git(ctx, dir, "log", "-1", "--format=%H %ct", "HEAD")
	if err != nil {
		return Source{}, err
	}
	commit, seconds, _ := strings.Cut(head, " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Source{}, fmt.Errorf("read the commit of %s: git answered %q", dir, head)
	}
	s := Source{Commit: commit, Time: time.Unix(n, 0).UTC()}
	changed, err := git(ctx, dir, "status", "--porcelain", "--untracked-files=normal")
	if err != nil {
		return Source{}, err
	}
	s.Dirty = changed != ""
	if origin, err := git(ctx, dir, "config", "--get", "remote.origin.url"); err == nil {
		s.Origin = withoutCredentials(origin)
	}
	if branch, err := git(ctx, dir, "symbolic-ref", "--quiet", "--short", "HEAD"); err == nil {
		s.Branch = branch
	}
	return s, ctx.Err()
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "-c", "log.showSignature=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if err == nil {
		return strings.TrimSpace(out.String()), nil
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	said := strings.TrimSpace(errOut.String())
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%w: git is not installed", ErrNoGit)
	}
	for _, s := range []string{"not a git repository", "unknown revision", "does not have any commits", "ambiguous argument 'HEAD'"} {
		if strings.Contains(said, s) {
			return "", fmt.Errorf("%w in %s: %s", ErrNoGit, dir, firstLine(said))
		}
	}
	return "", fmt.Errorf("git %s in %s: %w: %s", args[0], dir, err, said)
}

func firstLine(s string) string {
	l, _, _ := strings.Cut(s, "\n")
	return l
}

// withoutCredentials takes user and password, or a token, out of a remote's URL.
// The user of an SSH address stays: it is no secret.
func withoutCredentials(remote string) string {
	u, err := url.Parse(remote)
	if err != nil || u.Scheme == "" {
		if strings.Contains(remote, "://") {
			return "" // it cannot be read, so it cannot be cleaned
		}
		return remote // git@host:path, or a folder
	}
	if u.User != nil {
		if u.Scheme == "ssh" {
			u.User = url.User(u.User.Username())
		} else {
			u.User = nil
		}
	}
	u.RawQuery, u.Fragment = "", ""
	return u.String()
}

// Names of image labels (OCI image specification, pre-defined annotation keys).
const (
	labelRevision = "org.opencontainers.image.revision"
	labelCreated  = "org.opencontainers.image.created"
	labelSource   = "org.opencontainers.image.source"
)

// LabelEmulated is the label of an image some of whose build steps ran under
// emulation; it says how many. Nothing that is configured takes it away.
const LabelEmulated = "weelo-deploy.emulated"

// Labels are an image's labels: where it comes from, and extra, which goes
// before. The created label is the commit's time and never the build's, so that
// the same source gives the same image; a dirty tree does not claim to be its
// commit.
func Labels(s Source, extra map[string]string) map[string]string {
	labels := map[string]string{}
	if s.Commit != "" {
		labels[labelRevision] = s.Revision()
		labels[labelCreated] = s.Time.UTC().Format(time.RFC3339)
	}
	if s.Origin != "" {
		labels[labelSource] = s.Origin
	}
	maps.Copy(labels, extra)
	return labels
}
