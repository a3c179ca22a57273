package trial

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
)

// What engines say of a container that cannot be started, with their API's
// error texts and those of runc and crun in them.
var (
	noCommand = regexp.MustCompile(`(?i)no command specified`)
	notThere  = regexp.MustCompile(`(?i)executable file (?:.* )?not found in \$PATH|exec: "[^"]*": (?:stat [^:]+: )?(?:no such file or directory|not a directory)`)
	inPath    = regexp.MustCompile(`(?i)not found in \$PATH`)
	mayNot    = regexp.MustCompile(`(?i)exec: "[^"]*": (?:stat [^:]+: )?(?:permission denied|is a directory)`)
	noUser    = regexp.MustCompile(`(?i)unable to find (?:user|group) |no matching entries in (?:passwd|group) file`)
)

// judgeStart judges what the engine says of a container that it could not make
// or start.
func (s subject) judgeStart(res Result, refused error) (Result, error) {
	said := clean(refused.Error())
	if inPath.MatchString(said) && slices.Contains(s.env.withheld, "PATH") {
		res.Status = event.Warned
		res.Text = "could not be started: its command is found by the PATH of the task definition, whose value a trial does not have; give it with verify.trial.env"
		return res, nil
	}
	f := s.startFailure(said).Because(refused).See("the engine says: " + said)
	f.Stage = stage
	return res, s.explain(f)
}

func (s subject) startFailure(said string) *event.Failure {
	fail := func(what string) *event.Failure {
		return event.Fail(event.CodeCannotStart, fmt.Sprintf("trial run: %s cannot start: %s", s.name(), what))
	}
	switch {
	case execFormat.MatchString(said):
		return event.Fail(event.CodeExecFormat, fmt.Sprintf("trial run: %s cannot run: exec format error", s.name())).Hint(formatHints...)
	case noCommand.MatchString(said):
		return fail("neither the image nor the task definition names a command").Hint(hintCommand)
	case notThere.MatchString(said):
		return fail(fmt.Sprintf("its command %s is not in the image", s.program())).Hint(hintCommand)
	case mayNot.MatchString(said):
		return fail(fmt.Sprintf("its command %s may not be run", s.program())).Hint(hintMode)
	case noUser.MatchString(said):
		return fail(fmt.Sprintf("its user %q is not in the image", s.user())).Hint("see USER of the Dockerfile and user of the container in the task definition; a number needs no entry in /etc/passwd")
	}
	return fail("the engine refuses it")
}

// argv is the command line that the container gets: giving an entrypoint takes
// the image's command away, as for the docker command.
func (s subject) argv() []string {
	c := s.request.Container
	entry, cmd := c.EntryPoint, c.Command
	if len(entry) == 0 {
		entry = s.image.Entrypoint
		if len(cmd) == 0 {
			cmd = s.image.Cmd
		}
	}
	return append(append([]string{}, entry...), cmd...)
}

func (s subject) program() string {
	if argv := s.argv(); len(argv) > 0 {
		return fmt.Sprintf("%q", argv[0])
	}
	return `""`
}

func (s subject) user() string {
	if u := s.request.Container.User; u != "" {
		return u
	}
	return s.image.User
}

// explain adds what every failure of a trial needs: what was run, where, with
// what, and how to run it by hand.
func (s subject) explain(f *event.Failure) *event.Failure {
	f.Container = s.request.Container.Name
	f.See(fmt.Sprintf("image %s, command %q", s.image.ID, s.argv()),
		fmt.Sprintf("ran on %s/%s, engine %s, without network", s.info.OS, s.info.Arch, s.info.Version))
	if len(s.env.placeholders) > 0 {
		f.See("these had a placeholder for their value (verify.trial.env gives others): " + strings.Join(s.env.placeholders, ", "))
	}
	return f.Hint("to release all the same, without a trial run: --no-trial").Try(s.byHand())
}

// byHand is a docker command that does the same. Values that were given are
// taken from the environment of whoever types it: they may be secret.
func (s subject) byHand() string {
	c := s.request.Container
	words := []string{"docker", "run", "--rm", "--network", "none"}
	for _, o := range []struct {
		flag, value string
		set         bool
	}{
		{"--read-only", "", c.ReadonlyRoot},
		{"--init", "", c.Init},
		{"--user", c.User, c.User != ""},
		{"--workdir", c.WorkingDirectory, c.WorkingDirectory != ""},
		{"--memory", fmt.Sprint(c.MemoryBytes), c.MemoryBytes > 0},
	} {
		if o.set {
			words = append(words, o.flag)
		}
		if o.set && o.value != "" {
			words = append(words, o.value)
		}
	}
	for _, name := range c.DropCapabilities {
		words = append(words, "--cap-drop", name)
	}
	for _, kv := range s.env.pairs {
		if name, value, _ := strings.Cut(kv, "="); value == placeholder {
			words = append(words, "--env", kv)
		} else {
			words = append(words, "--env", name)
		}
	}
	args := c.Command
	if len(c.EntryPoint) > 0 {
		words, args = append(words, "--entrypoint", c.EntryPoint[0]), append(append([]string{}, c.EntryPoint[1:]...), c.Command...)
	}
	words = append(append(words, s.image.ID), args...)
	for i := range words {
		words[i] = quote(words[i])
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quote makes a word one for a POSIX shell.
func quote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
