package taskdef

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The SDK decodes answers into its own structures and drops what it does not
// know. The two middlewares here reach past that: one keeps the bytes of an
// answer before the SDK's deserializer reads them, the other puts ready bytes
// in the place of what the SDK's serializer wrote, before length, checksum and
// signature are made. Signing, retries, endpoints and errors stay the SDK's.

// maxAnswer bounds an answer that is kept, in bytes. AWS limits a task
// definition to 64 KiB.
const maxAnswer = 8 << 20

// captureBody stores the body of the answer in *into, when it is no error. The
// SDK's own output stays empty.
func captureBody(into *[]byte) func(*ecs.Options) {
	return func(o *ecs.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			m := middleware.DeserializeMiddlewareFunc("CaptureTaskDefinition", capture(into))
			return s.Deserialize.Insert(m, "OperationDeserializer", middleware.After)
		})
	}
}

type deserialize = func(context.Context, middleware.DeserializeInput, middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error)

func capture(into *[]byte) deserialize {
	return func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
		middleware.DeserializeOutput, middleware.Metadata, error,
	) {
		out, md, err := next.HandleDeserialize(ctx, in)
		resp, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok || resp.Body == nil {
			return out, md, err
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		closed := resp.Body.Close()
		if err = errors.Join(err, closed); err != nil {
			return out, md, fmt.Errorf("read the answer: %w", err)
		}
		if len(body) > maxAnswer {
			return out, md, fmt.Errorf("read the answer: it is larger than %d bytes", maxAnswer)
		}
		if resp.StatusCode/100 == 2 {
			// The SDK's structures are not used, and must not decide whether the
			// answer can be read: a number that the SDK does not like would turn a
			// registration that happened into an error.
			*into, body = body, []byte("{}")
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return out, md, nil
	}
}

// replaceBody sends body instead of what the SDK made of its input.
func replaceBody(body []byte) func(*ecs.Options) {
	return func(o *ecs.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			m := middleware.SerializeMiddlewareFunc("ReplaceTaskDefinition", replace(body))
			return s.Serialize.Insert(m, "OperationSerializer", middleware.After)
		})
	}
}

type serialize = func(context.Context, middleware.SerializeInput, middleware.SerializeHandler) (
	middleware.SerializeOutput, middleware.Metadata, error)

func replace(body []byte) serialize {
	return func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (
		middleware.SerializeOutput, middleware.Metadata, error,
	) {
		req, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.SerializeOutput{}, middleware.Metadata{}, fmt.Errorf("write the request: unexpected transport %T", in.Request)
		}
		req, err := req.SetStream(bytes.NewReader(body))
		if err != nil {
			return middleware.SerializeOutput{}, middleware.Metadata{}, fmt.Errorf("write the request: %w", err)
		}
		in.Request = req
		return next.HandleSerialize(ctx, in)
	}
}

// errNotCaptured is what a client gets that does not run the SDK's middlewares.
// Going on with the SDK's structures would lose members silently.
var errNotCaptured = errors.New("the client did not hand over the answer's body")

// definitionIn reads a definition out of an answer of DescribeTaskDefinition or
// RegisterTaskDefinition.
func definitionIn(answer []byte) (*Definition, error) {
	if answer == nil {
		return nil, errNotCaptured
	}
	var a struct {
		TaskDefinition json.RawMessage `json:"taskDefinition"`
		Tags           []Tag           `json:"tags"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(a.TaskDefinition) == 0 {
		return nil, errors.New("read the answer: it holds no task definition")
	}
	return Parse(a.TaskDefinition, a.Tags)
}
