package awsjson

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/aws/smithy-go"
)

const contentType = "application/x-amz-json-1.1"

// apiError is an error that answers with its own code and status.
type apiError struct {
	code    string
	status  int
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// Errorf returns an error that answers with this code, HTTP status and message.
// It is for codes that the SDK has no type for.
func Errorf(code string, status int, format string, a ...any) error {
	return &apiError{code: code, status: status, message: fmt.Sprintf(format, a...)}
}

// ErrorParts takes apart what an error answers with: the code and message of an
// SDK error type, of [Errorf] and of a [*SerializationError]; 400 for the
// client's faults and 500 for the server's and for every other error.
func ErrorParts(err error) (code string, status int, message string) {
	var own *apiError
	var serialization *SerializationError
	var sdk smithy.APIError
	switch {
	case errors.As(err, &own):
		return own.code, own.status, own.message
	case errors.As(err, &serialization):
		return "SerializationException", 400, serialization.Reason
	case errors.As(err, &sdk) && sdk.ErrorFault() == smithy.FaultServer:
		return sdk.ErrorCode(), 500, sdk.ErrorMessage()
	case sdk != nil:
		return sdk.ErrorCode(), 400, sdk.ErrorMessage()
	}
	return "ServerException", 500, err.Error()
}

// ErrorAnswer renders err as AWS JSON 1.1 does. Members of an SDK error beyond
// its message (ConflictException's resourceIds) are sent too.
func ErrorAnswer(err error) Answer {
	code, status, message := ErrorParts(err)
	var e encoder
	e.out.WriteString(`{"__type":` + quote(code))
	if message != "" {
		e.out.WriteString(`,"message":` + quote(message))
	}
	var sdk smithy.APIError
	if errors.As(err, &sdk) {
		e.out.Write(extraMembers(sdk))
	}
	e.out.WriteByte('}')
	return Answer{Status: status, ContentType: contentType, Body: e.out.Bytes(), ErrorCode: code}
}

func extraMembers(shape any) []byte {
	v := reflect.Indirect(reflect.ValueOf(shape))
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[smithy.GenericAPIError]() {
		return nil
	}
	var e encoder
	for _, f := range infoOf(v.Type()).fields {
		x := v.FieldByIndex(f.index)
		if f.name == "message" || f.name == "errorCodeOverride" || absent(x) {
			continue
		}
		start := e.out.Len()
		e.out.WriteString("," + strconv.Quote(f.name) + ":")
		if e.value(x) != nil {
			e.out.Truncate(start)
		}
	}
	return e.out.Bytes()
}

func quote(s string) string {
	var e encoder
	_ = e.plain(reflect.ValueOf(s)) // a string always encodes
	return e.out.String()
}
