package release

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Exception names by which AWS says the same few things over and over
// (Common Errors, ECS API reference; STS API reference).
var (
	deniedCodes    = []string{"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized"}
	throttledCodes = []string{"ThrottlingException", "Throttling", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"}
	skewedCodes    = []string{"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
	expiredCodes   = []string{"ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "MissingAuthenticationTokenException", "MissingAuthenticationToken"}
)

// fromAWS turns an error of an API call into a failure with a mend. doing is
// the operation and its object; permission is the IAM action that it needs.
func fromAWS(err error, doing, permission string) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var known *event.Failure
	if errors.As(err, &known) {
		return err
	}
	code := apiCode(err)
	switch {
	case slices.Contains(deniedCodes, code):
		return event.Fail(event.CodeAccessDenied, "may not "+doing).Because(err).
			Hint("give the caller the permission " + permission)
	case outOfTime(err):
		return event.Fail(event.CodeCredentials, "AWS does not accept the time of the requests: the clock of this machine is off").Because(err).
			Hint("set the clock (timedatectl set-ntp true, or restart the virtual machine that this is), then run this once more")
	case slices.Contains(expiredCodes, code):
		return event.Fail(event.CodeCredentials, "AWS does not accept the credentials").Because(err).
			Hint("sign in again (aws sso login, or the way your credentials are made), then run this once more").
			Try("aws sts get-caller-identity")
	case code == "ClusterNotFoundException":
		return event.Fail(event.CodeNotFound, "cannot "+doing+": the cluster does not exist").Because(err)
	case throttled(err):
		return event.Fail(event.CodeUnavailable, "cannot "+doing+": AWS throttles this account").Because(err).
			Hint("other tools may be polling the same account; try again in a minute")
	case code != "" && !answered(err):
		return event.Fail(event.CodeUnavailable, "cannot "+doing+": AWS has a fault of its own").Because(err).
			Hint("try again in a minute; https://health.aws.amazon.com tells of what is known")
	case code == "" && errors.As(err, new(*url.Error)):
		return event.Fail(event.CodeUnavailable, "cannot "+doing+": AWS cannot be reached").Because(err).
			Hint("check the network, and the region's spelling: a mistyped region is a host name that does not exist")
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// outOfTime says whether AWS refused a request for when it was signed.
func outOfTime(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (slices.Contains(skewedCodes, api.ErrorCode()) ||
		strings.HasPrefix(api.ErrorMessage(), "Signature expired:") || strings.HasPrefix(api.ErrorMessage(), "Signature not yet current:"))
}

// FromAWS is fromAWS for commands that ask AWS themselves.
func FromAWS(err error, doing, permission string) error { return fromAWS(err, doing, permission) }

// apiCode is AWS's name of the error, or "" when no answer came.
func apiCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// throttled says whether AWS did not take the call because there were too many.
func throttled(err error) bool { return slices.Contains(throttledCodes, apiCode(err)) }

// passing says whether an error of a reading call may be gone the next time: AWS
// throttles, has a fault of its own, or cannot be reached.
func passing(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var known *event.Failure
	if errors.As(err, &known) {
		return known.Code == event.CodeUnavailable
	}
	return !answered(err)
}

// answered says whether AWS answered the call with a refusal, so that it had no
// effect. A fault of the server, or no answer at all, leaves that open.
func answered(err error) bool {
	var api smithy.APIError
	var http interface{ HTTPStatusCode() int }
	if errors.As(err, &http) && http.HTTPStatusCode() >= 500 { // of an error that the SDK does not know, all that tells
		return false
	}
	return errors.As(err, &api) && api.ErrorFault() != smithy.FaultServer && !strings.HasPrefix(api.ErrorCode(), "Server")
}
