package registry

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// Page sizes of ECR's describe and list operations.
const (
	defaultPage = 100
	maxPage     = 1000
)

func text(format string, a ...any) *string { return new(fmt.Sprintf(format, a...)) }

// invalid is ECR's answer to a parameter that it does not take.
func invalid(parameter, reason string) error {
	return &types.InvalidParameterException{Message: text(
		"Invalid parameter at '%s' failed to satisfy constraint: '%s'", parameter, reason)}
}

// maxBatch bounds the items of a batch call.
const maxBatch = 100

// checkBatch refuses a list that is empty or too long.
func checkBatch(parameter string, n int) error {
	switch {
	case n == 0:
		return invalid(parameter, "Member must have length greater than or equal to 1")
	case n > maxBatch:
		return invalid(parameter, fmt.Sprintf("Member must have length less than or equal to %d", maxBatch))
	}
	return nil
}

func missingParameter(name string) error { return invalid(name, "must not be null") }

// page cuts the items after a token, of which key names each by a unique string
// in sorted order. The token is the last key of the page before, so that items
// that come and go between two calls neither repeat nor hide others.
func page[T any](items []T, key func(T) string, token *string, size *int32) ([]T, *string, error) {
	n := defaultPage
	if size != nil {
		if *size < 1 || *size > maxPage {
			return nil, nil, invalid("maxResults", fmt.Sprintf("must be between 1 and %d", maxPage))
		}
		n = int(*size)
	}
	if token != nil {
		last, err := base64.RawURLEncoding.DecodeString(*token)
		after, ok := strings.CutPrefix(string(last), "after:")
		if err != nil || !ok {
			return nil, nil, invalid("nextToken", "must be a token of an earlier answer")
		}
		for len(items) > 0 && key(items[0]) <= after {
			items = items[1:]
		}
	}
	if len(items) <= n {
		return items, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte("after:" + key(items[n-1])))
	return items[:n], &next, nil
}
