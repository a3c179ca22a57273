package build

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// failure is why a build ended, as one can act on it.
func (b *Builder) failure(ctx context.Context, err error, s *story, in inputs, n Nativeness) error {
	if ctx.Err() != nil {
		return fmt.Errorf("build the image: %w", context.Cause(ctx))
	}
	if errors.Is(err, engine.ErrUnreachable) {
		return Unavailable(err)
	}
	reason := s.mask.text(plain(err.Error()))
	if strings.Contains(reason, "frontend.contexts") { // the capability that addContexts asks for
		return contextsUnknown("the frontend that reads the Dockerfile").Because(errors.New(reason))
	}
	v := s.failed()
	if f := syntaxFailure(in.dockerfile.syntax, v, reason); f != nil {
		return f
	}
	if v == nil {
		return event.Fail(event.CodeBuildFailed, "build the image: "+reason)
	}
	if base, ok := strings.CutPrefix(v.name, "[internal] load metadata for "); ok {
		return event.Fail(event.CodeBuildFailed, "fetch base image "+base+": "+plain(v.err)).
			Hint("see whether the engine can fetch it: docker pull "+base, "a private registry wants docker login first")
	}
	f := event.Fail(event.CodeBuildFailed, fmt.Sprintf("build step %s failed: %s", v.name, exitOf(v.err)))
	f.Logs = append([]string{}, v.last...)
	if n := in.dockerfile.lineOf(v.name); n > 0 {
		f.File, f.Line = in.dockerfile.path, n
	}
	f.See(plain(v.err))
	return stepHints(f, v, n)
}

// noise is what the layers of BuildKit put before a message.
var noise = regexp.MustCompile(`(failed to solve( with frontend [\w.]+)?|rpc error: code = \w+ desc =|failed to create LLB definition|failed to solve with frontend gateway\.v0):? ?`)

// plain is an error's text without that.
func plain(s string) string {
	s = strings.TrimSpace(noise.ReplaceAllString(s, ""))
	return strings.Replace(s, " not found: not found", " not found", 1)
}

var exitCode = regexp.MustCompile(`exit code: (\d+)$`)

// exitOf is the short form of a step's error: the exit code, where it has one.
func exitOf(s string) string {
	if m := exitCode.FindStringSubmatch(s); m != nil {
		return "exit code " + m[1]
	}
	return plain(s)
}

// syntaxFailure recognises a "# syntax=" line whose frontend could not be had.
func syntaxFailure(syntax string, v *vertex, reason string) *event.Failure {
	if syntax == "" {
		return nil
	}
	fetch := v == nil && strings.Contains(reason, syntax)
	if v != nil {
		fetch = strings.HasPrefix(v.name, "resolve image config for") || strings.HasPrefix(v.name, "docker-image://")
	}
	if !fetch {
		return nil
	}
	if v != nil {
		reason = plain(v.err)
	}
	return event.Fail(event.CodeBuildFailed, fmt.Sprintf("fetch the frontend that the Dockerfile's line %q asks for: %s", "# syntax="+syntax, reason)).
		Hint("see whether the engine can fetch it: docker pull "+syntax,
			"without that line the engine's own frontend reads the Dockerfile, which is enough for most files")
}

// missingFile matches what COPY says of a source that the context lacks.
var missingFile = regexp.MustCompile(`"/[^"]*"[^"]* not found|failed to calculate checksum .* not found`)

// stepHints adds what to try, where the way that a step failed tells it.
func stepHints(f *event.Failure, v *vertex, n Nativeness) *event.Failure {
	text := v.err + "\n" + strings.Join(v.last, "\n")
	m := exitCode.FindStringSubmatch(v.err)
	switch {
	case missingFile.MatchString(v.err):
		f.Hint("the file is not in the build context, or .dockerignore leaves it out; what build.before makes is there too")
	case strings.Contains(text, "exec format error"):
		f.Hint("a program in this step is for another machine than " + n.Worker + ", or a script without its #! line")
	case len(n.Emulated) > 0 && m != nil && (m[1] == "139" || m[1] == "132" || m[1] == "135" || m[1] == "134"):
		f.Hint("this step crashed under emulation; build on a " + n.Target + " machine instead (build.on)")
	case m != nil && m[1] == "137":
		f.Hint("exit code 137 is SIGKILL: the engine may have too little memory for this step")
	}
	return f
}
