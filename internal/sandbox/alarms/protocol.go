package alarms

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/awsquery"
)

// protocol is one of the ways in which CloudWatch is spoken to.
type protocol struct {
	unknown string // the error's code for an operation that is not there
	decode  func(body []byte, into any) error
	encode  func(operation string, out any) (awsjson.Answer, error)
	refuse  func(err error) awsjson.Answer
}

// protocolHeader must be in every answer in CBOR.
var protocolHeader = map[string]string{"Smithy-Protocol": "rpc-v2-cbor"}

var cborProtocol = protocol{
	unknown: "UnknownOperationException",
	decode: func(body []byte, into any) error {
		if len(body) == 0 {
			return nil
		}
		if err := reading.Unmarshal(body, into); err != nil {
			return &awsjson.SerializationError{Reason: err.Error()}
		}
		return nil
	},
	encode: func(_ string, out any) (awsjson.Answer, error) {
		body, err := writing.Marshal(out)
		if err != nil {
			return awsjson.Answer{}, fmt.Errorf("encode answer: %w", err)
		}
		return awsjson.Answer{Status: http.StatusOK, ContentType: "application/cbor", Header: protocolHeader, Body: body}, nil
	},
	refuse: func(err error) awsjson.Answer {
		code, status, message := awsjson.ErrorParts(err)
		body, failed := writing.Marshal(struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}{"com.amazonaws.cloudwatch#" + shapeOf(code), message})
		if failed != nil { // not with two strings
			status = http.StatusInternalServerError
		}
		return awsjson.Answer{Status: status, ContentType: "application/cbor", Header: withQueryError(protocolHeader, code, status), Body: body, ErrorCode: code}
	},
}

var jsonProtocol = protocol{
	unknown: "UnknownOperationException",
	decode:  awsjson.Unmarshal,
	encode: func(_ string, out any) (awsjson.Answer, error) {
		body, err := awsjson.Marshal(out)
		return awsjson.Answer{Status: http.StatusOK, ContentType: json10, Body: body}, err
	},
	refuse: func(err error) awsjson.Answer {
		code, status, message := awsjson.ErrorParts(err)
		a := awsjson.ErrorAnswer(awsjson.Errorf(shapeOf(code), status, "%s", message))
		a.ContentType, a.ErrorCode, a.Header = json10, code, withQueryError(nil, code, status)
		return a
	},
}

const json10 = "application/x-amz-json-1.0"

var queryProtocol = protocol{
	unknown: "InvalidAction",
	decode: func(body []byte, into any) error {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return awsjson.Errorf("MalformedQueryString", http.StatusBadRequest, "The request is no form: %s", err)
		}
		return awsquery.Unmarshal(form, into)
	},
	encode: func(operation string, out any) (awsjson.Answer, error) {
		body := awsquery.Marshal("http://monitoring.amazonaws.com/doc/2010-08-01/", operation, rand.Text(), out)
		return awsjson.Answer{Status: http.StatusOK, ContentType: "text/xml", Body: body}, nil
	},
	refuse: awsquery.Refuse,
}

// shapes are the errors that have another name in CloudWatch's model than in the
// Query protocol, which was there first.
var shapes = map[string]string{
	"InvalidFormat":               "InvalidFormatFault",
	"InvalidParameterCombination": "InvalidParameterCombinationException",
	"InvalidParameterValue":       "InvalidParameterValueException",
	"LimitExceeded":               "LimitExceededFault",
	"MissingParameter":            "MissingRequiredParameterException",
}

func shapeOf(code string) string {
	if s, ok := shapes[code]; ok {
		return s
	}
	return code
}

// withQueryError adds the header by which clients of the newer protocols learn
// an error's older name.
func withQueryError(headers map[string]string, code string, status int) map[string]string {
	out := map[string]string{"X-Amzn-Query-Error": code + ";" + fault(status)}
	for k, v := range headers {
		out[k] = v
	}
	return out
}

func fault(status int) string {
	if status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// Bounds of what is read as CBOR; the largest request has 100 names, or 20
// metrics with 30 dimensions.
var (
	reading = must(cbor.DecOptions{
		MaxNestedLevels: 16, MaxArrayElements: 1000, MaxMapPairs: 1000,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		DefaultMapType:    reflect.TypeFor[map[string]any](),
	}.DecMode())
	writing = must(cbor.EncOptions{Time: cbor.TimeUnixDynamic, TimeTag: cbor.EncTagRequired}.EncMode())
)

// must is for options that are constant.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
