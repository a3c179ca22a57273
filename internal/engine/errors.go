package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"
)

// Errors to branch on, found with errors.Is.
var (
	// ErrNotFound: the engine has no such image, container or network.
	ErrNotFound = errors.New("not found")
	// ErrUnreachable: the engine does not answer. The error is an
	// *UnreachableError.
	ErrUnreachable = errors.New("docker engine unreachable")
)

// errSilent is why a question to the engine was given up.
var errSilent = fmt.Errorf("no answer within %s", answerTimeout)

// UnreachableError is an engine that does not answer, with what to try.
type UnreachableError struct {
	Endpoint string   // the address that was tried
	From     string   // where the address came from
	Hints    []string // what to try, one command or sentence each
	Err      error
}

func (u *UnreachableError) Error() string {
	s := "docker engine at " + u.Endpoint + " (" + u.From + ") does not answer"
	if d := detail(u.Err); d != "" {
		s += ": " + d
	}
	return s
}

// Is makes the error an ErrUnreachable.
func (u *UnreachableError) Is(target error) bool { return target == ErrUnreachable }

// Unwrap gives the client's error.
func (u *UnreachableError) Unwrap() error { return u.Err }

// detail is what the client's error adds to "does not answer".
func detail(err error) string {
	if err == nil {
		return ""
	}
	s := daemonText(err)
	if strings.HasPrefix(s, "Cannot connect to the Docker daemon at") {
		return "" // says what we say
	}
	return strings.TrimPrefix(s, "error during connect: ")
}

// apiError is an answer of the engine, with the kind that callers branch on.
type apiError struct {
	text  string
	kinds []error
}

func (a *apiError) Error() string   { return a.text }
func (a *apiError) Unwrap() []error { return a.kinds }

// wrap says what was being done, and turns the client's errors into ours.
func (e *Engine) wrap(op string, err error) error {
	var nerr *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", op, err)
	case client.IsErrConnectionFailed(err), errors.As(err, &nerr) && nerr.Op == "dial":
		return fmt.Errorf("%s: %w", op, e.unreachable(err))
	case errdefs.IsNotFound(err):
		return &apiError{text: op + ": " + daemonText(err), kinds: []error{ErrNotFound, err}}
	}
	return &apiError{text: op + ": " + daemonText(err), kinds: []error{err}}
}

// wrapAsked is wrap for a call under a time limit of ours: when that limit
// ended it, and not the caller, the engine is unreachable.
func (e *Engine) wrapAsked(outer, asked context.Context, op string, err error) error {
	if outer.Err() == nil && asked.Err() != nil {
		return fmt.Errorf("%s: %w", op, e.unreachable(context.Cause(asked)))
	}
	return e.wrap(op, err)
}

func (e *Engine) unreachable(err error) error {
	return &UnreachableError{Endpoint: e.ep.host, From: e.ep.from, Hints: e.ep.hints(err), Err: err}
}

// daemonText is the engine's own message, without the client's preface.
func daemonText(err error) string {
	return strings.TrimPrefix(err.Error(), "Error response from daemon: ")
}

// hints are what to try when the endpoint does not answer.
func (ep endpoint) hints(err error) []string {
	var hints []string
	switch {
	case ep.isSocket() && errors.Is(err, fs.ErrPermission):
		hints = append(hints, "allow yourself to use Docker: sudo usermod -aG docker \"$USER\", then log in again")
	case ep.isSocket() && runtime.GOOS == "linux":
		hints = append(hints, "start the engine: sudo systemctl start docker (or open Docker Desktop)")
	case ep.isSocket():
		hints = append(hints, "start the engine: open Docker Desktop")
	case strings.HasPrefix(ep.host, "ssh://"):
		hints = append(hints, "check the connection by hand: ssh "+strings.TrimPrefix(ep.host, "ssh://")+" docker version")
	default:
		hints = append(hints, "check the address and its certificates by hand: docker -H "+ep.host+" version")
	}
	if ep.from != fromDefault {
		hints = append(hints, "the address comes from "+ep.from+"; see: docker context ls")
	}
	return hints
}
