package health

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

// What a failed call means. Any single one is tolerated: the source asks again.
// Only the service itself must be readable; everything else can be missing for
// good and is then told once.

// errNoService is an answer of DescribeServices without the service: its
// failures say MISSING.
var errNoService = errors.New("the service does not exist")

type fault int

const (
	passing fault = iota // no answer, a fault of the server, anything else
	throttling
	denied
	credentials
	absent
)

// Exception names by which AWS says these things (Common Errors, ECS API
// reference).
var faults = map[string]fault{
	"ThrottlingException": throttling, "Throttling": throttling, "RequestLimitExceeded": throttling,
	"TooManyRequestsException": throttling, "ThrottledException": throttling,

	"AccessDeniedException": denied, "AccessDenied": denied, "UnauthorizedOperation": denied, "NotAuthorized": denied,
	"OptInRequired": denied, "UnsupportedFeatureException": denied, "UnknownOperationException": denied,

	"ExpiredTokenException": credentials, "ExpiredToken": credentials, "UnrecognizedClientException": credentials,
	"InvalidClientTokenId": credentials, "InvalidSignatureException": credentials, "IncompleteSignature": credentials,
	"MissingAuthenticationTokenException": credentials, "MissingAuthenticationToken": credentials, "RequestExpired": credentials,

	"ClusterNotFoundException": absent, "ServiceNotFoundException": absent, "ServiceNotActiveException": absent,
}

func faultOf(err error) fault {
	if errors.Is(err, errNoService) {
		return absent
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return faults[api.ErrorCode()]
	}
	// The SDK has no type for credentials that cannot be had (any more); its
	// operation error says so in words, before a request is sent. When the network
	// is to blame, they may come back.
	s := err.Error()
	if strings.Contains(s, "get identity") && !network.MatchString(s) {
		return credentials
	}
	return passing
}

// failed takes in a failed call.
func (r *run) failed(s *source, a answer) {
	if s.failing.count == 0 {
		s.failing.since = a.asked
	}
	s.failing.count++
	s.failing.err = a.err
	switch faultOf(a.err) {
	case throttling:
		r.throttled(a.arrived)
		s.due = a.asked.Add(r.interval(s))
		return
	case denied:
		r.refused(s)
		return
	}
	if s.failing.count >= 3 && !s.failing.told && s != r.service {
		s.failing.told = true
		r.emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("cannot %s: %s; trying again", s.what, cause(a.err))})
	}
}

// deniedEvery is how often a call is tried again that was denied: somebody may
// grant the permission.
const deniedEvery = 30 * time.Second

func (r *run) refused(s *source) {
	if s == r.service {
		return // lost decides
	}
	s.due = time.Now().Add(deniedEvery)
	if s.failing.told {
		return
	}
	s.failing.told = true
	without := "going on without"
	switch s {
	case r.stopped, r.running, r.tasks:
		without = "going on by the service's own counts, so failures show late and without their cause"
	case r.deployment:
		s.off = true
		without = "going on by the service's deployments alone"
	}
	r.emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("may not %s (%s): %s; %s", s.what, s.permission, cause(s.failing.err), without)})
}

// readable says whether a source can be expected to answer.
func (s *source) readable() bool {
	return !s.off && (s.failing.count == 0 || faultOf(s.failing.err) != denied)
}

// lost says whether the service cannot be read any more, for good as far as one
// can tell. Credentials are refreshed by the SDK on every call, so that a few
// refused ones mean nothing.
func (r *run) lost(now time.Time) error {
	f := r.service.failing
	if s := str(r.svc.is.Status); s == "DRAINING" || s == "INACTIVE" {
		return r.lostBy(event.CodeServiceNotReady, "somebody deletes the service", errors.New("its status is "+s))
	}
	if f.count == 0 {
		return nil
	}
	long := now.Sub(f.since) >= r.pace.GiveUp && f.count >= 3
	switch kind := faultOf(f.err); {
	case kind == credentials && long:
		return r.lostBy(event.CodeCredentials, "AWS does not accept the credentials any more", f.err).
			Hint("renew the credentials (aws sso login, or the way yours are made), then run `weelo-deploy watch`: it picks the deployment up again")
	case kind == denied && long:
		return r.lostBy(event.CodeAccessDenied, "the permission "+r.service.permission+" is missing", f.err).
			Hint("give the caller the permission, then run `weelo-deploy watch`: it picks the deployment up again")
	case kind == absent && f.count >= 3:
		return r.lostBy(event.CodeNotFound, "the service or its cluster is gone", f.err)
	case now.Sub(f.since) >= max(r.pace.GiveUp, r.scope.timeout):
		return r.lostBy(event.CodeInternal, "ECS has not answered since "+r.clock.at(f.since).UTC().Format(time.TimeOnly)+" UTC", f.err).
			Hint("when ECS answers again, run `weelo-deploy watch`: it picks the deployment up again")
	}
	return nil
}

func (r *run) lostBy(code event.Code, why string, err error) *event.Failure {
	f := event.Fail(code, fmt.Sprintf("watch service %s: %s: %s", name(r.scope.serviceName), why, cause(err)))
	return f.Because(err).See(r.lastSeen())
}

// lastSeen is what was known of the deployment when the service was last read.
func (r *run) lastSeen() string {
	id := r.scope.id
	if id == "" {
		id = "the rollback"
	}
	d := r.svc.ours()
	if d == nil {
		return fmt.Sprintf("%s of %s was never seen; it goes on in ECS by itself", id, name(r.scope.taskDefinition))
	}
	return fmt.Sprintf("at %s UTC %s (%s) was %s, %s, %d/%d running; it goes on in ECS by itself",
		r.clock.at(r.service.asked).UTC().Format(time.TimeOnly), id, name(str(d.TaskDefinition)), str(d.Status),
		strings.ToLower(string(d.RolloutState)), d.RunningCount, d.DesiredCount)
}

// cause is the kernel of an SDK error: AWS's name and words, or the innermost
// error's text.
func cause(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return strings.TrimSuffix(api.ErrorCode()+": "+api.ErrorMessage(), ": ")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	var op *smithy.OperationError
	if errors.As(err, &op) {
		err = op.Err
	}
	text, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return clip(text, 300)
}
