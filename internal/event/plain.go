package event

import (
	"errors"
	"strings"
)

// Plain is an error's text for people. Of what the AWS SDK wraps around an answer
// only AWS's own code and message are left: "ClusterNotFoundException: Cluster not found."
func Plain(err error) string {
	text := err.Error()
	var call interface {
		error
		Service() string
		Operation() string
	}
	var answer interface {
		ErrorCode() string
		ErrorMessage() string
	}
	if !errors.As(err, &call) || !errors.As(err, &answer) || answer.ErrorCode() == "" {
		return text
	}
	said := answer.ErrorCode()
	if m := answer.ErrorMessage(); m != "" {
		said += ": " + m
	}
	return strings.ReplaceAll(text, call.Error(), said)
}

// requestID is AWS's number of the call that err is the answer of, for its support.
func requestID(err error) string {
	var answer interface{ ServiceRequestID() string }
	if !errors.As(err, &answer) {
		return ""
	}
	return answer.ServiceRequestID()
}
