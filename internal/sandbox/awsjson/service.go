package awsjson

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Service is the operations of one AWS service. It is filled by [Handle] before
// it serves and not changed afterwards.
type Service struct {
	prefix     string
	operations map[string]operation
}

// operation answers one call: it decodes the body, does the work and returns
// the output to encode.
type operation func(ctx context.Context, body []byte) (any, error)

// NewService returns a service without operations. targetPrefix is what its
// clients send before the dot of X-Amz-Target, for example
// AmazonEC2ContainerServiceV20141113.
func NewService(targetPrefix string) *Service {
	return &Service{prefix: targetPrefix, operations: make(map[string]operation)}
}

// Prefix is the service's target prefix.
func (s *Service) Prefix() string { return s.prefix }

// Operations lists the operations that are handled, sorted.
func (s *Service) Operations() []string { return slices.Sorted(maps.Keys(s.operations)) }

// Handle makes f answer the operation. I is the SDK's input, O its output or any
// value that [Marshal] takes. f returns an SDK error type, or one of [Errorf],
// to answer with that error; any other error answers as ServerException.
func Handle[I, O any](s *Service, operation string, f func(ctx context.Context, in *I) (*O, error)) {
	s.operations[operation] = func(ctx context.Context, body []byte) (any, error) {
		in := new(I)
		if err := Unmarshal(body, in); err != nil {
			return nil, err
		}
		out, err := f(context.WithValue(ctx, bodyKey{}, body), in)
		if err != nil {
			return nil, err
		}
		if out == nil {
			return nil, fmt.Errorf("operation %s returned nothing", operation)
		}
		return out, nil
	}
}

type bodyKey struct{}

// RawBody is the body of the request being handled, as it was received, for
// keeping members that the SDK does not know. It must not be changed.
func RawBody(ctx context.Context) []byte {
	body, _ := ctx.Value(bodyKey{}).([]byte)
	return body
}

// answer does one call. Everything that can go wrong becomes an error answer.
func (s *Service) answer(ctx context.Context, operation string, body []byte) Answer {
	f, known := s.operations[operation]
	if !known {
		return ErrorAnswer(Errorf("UnknownOperationException", 400,
			"The operation %s.%s is not available here.", s.prefix, operation))
	}
	out, err := f(ctx, body)
	if err != nil {
		return ErrorAnswer(err)
	}
	b, err := Marshal(out)
	if err != nil {
		return ErrorAnswer(fmt.Errorf("encode answer of %s: %w", operation, err))
	}
	return Answer{Status: 200, ContentType: contentType, Body: b}
}
