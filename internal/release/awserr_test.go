package release

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/weelo/weelo-deploy/internal/event"
)

func refusedBy(code, message string) error {
	return &smithy.OperationError{ServiceID: "ECS", OperationName: "DescribeServices", Err: &awshttp.ResponseError{
		ResponseError: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: 400}}, Err: &smithy.GenericAPIError{Code: code, Message: message}},
		RequestID:     "1b2c-3d",
	}}
}

func TestAnErrorOfAWSIsToldInAWSsOwnWords(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"AccessDeniedException": "may not describe service a: AccessDeniedException: no, not you",
		"ThrottlingException":   "cannot describe service a: AWS throttles this account: ThrottlingException: no, not you",
		"StrangeException":      "describe service a: StrangeException: no, not you",
	} {
		err := fromAWS(refusedBy(code, "no, not you"), "describe service a", "ecs:DescribeServices")
		var res event.Result
		Refuse(&res, "preflight", err)
		if got := res.Failure.Error(); got != want {
			t.Errorf("%s is told as %q, want %q", code, got, want)
		}
		if got := firstLine(err); got != want {
			t.Errorf("%s is told in a stage as %q, want %q", code, got, want)
		}
		if !slices.Contains(res.Failure.Evidence, "AWS's request id: 1b2c-3d") {
			t.Errorf("%s has the evidence %q", code, res.Failure.Evidence)
		}
		if !errors.As(err, new(smithy.APIError)) {
			t.Errorf("%s has lost its cause", code)
		}
	}
}

func TestWhatAWSAnswersHasACodeOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status        int
		code, message string
		want          event.Code
		says          string
	}{
		{500, "ServerException", "", event.CodeUnavailable, "AWS has a fault of its own"},
		{503, "ServiceUnavailable", "", event.CodeUnavailable, "AWS has a fault of its own"},
		{502, "UnknownError", "", event.CodeUnavailable, "AWS has a fault of its own"},
		{400, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z (20260101T002000Z - 5 min.)", event.CodeCredentials, "clock"},
		{403, "SignatureDoesNotMatch", "Signature not yet current: 20260101T001500Z is still later than 20260101T000500Z (20260101T000000Z + 5 min.)", event.CodeCredentials, "clock"},
		{403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", event.CodeCredentials, "clock"},
		{403, "InvalidClientTokenId", "The security token included in the request is invalid.", event.CodeCredentials, "AWS does not accept the credentials"},
	} {
		err := fromAWS(&awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: c.status}}, Err: &smithy.GenericAPIError{Code: c.code, Message: c.message},
		}}, "describe service a", "ecs:DescribeServices")
		var f *event.Failure
		if !errors.As(err, &f) || f.Code != c.want || !strings.Contains(f.Message, c.says) {
			t.Errorf("%d %s is %v, want %s with %q", c.status, c.code, err, c.want, c.says)
		}
	}
}
