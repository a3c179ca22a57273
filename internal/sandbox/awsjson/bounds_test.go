package awsjson

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

func TestUnmarshal_refusesABodyOfManyValues(t *testing.T) {
	for name, body := range map[string]string{
		"a long list":         `{"logEvents":[` + strings.Repeat("1,", maxValues) + `1]}`,
		"many members":        `{` + strings.Repeat(`"a":1,`, maxValues/2) + `"a":1}`,
		"nothing but depth":   strings.Repeat("[", maxValues+1),
		"depth within bounds": `{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
	} {
		var misfit *SerializationError
		if err := Unmarshal([]byte(body), new(cloudwatchlogs.PutLogEventsInput)); !errors.As(err, &misfit) {
			t.Errorf("%s: Unmarshal = %v, want a SerializationError", name, err)
		}
	}
}

func TestUnmarshal_takesTheLargestBatchOfLogEvents(t *testing.T) {
	var events []string
	for i := range 10_000 {
		events = append(events, fmt.Sprintf(`{"timestamp":%d,"message":"a \"quoted\", [long] {line}: \\"}`, i))
	}
	in := new(cloudwatchlogs.PutLogEventsInput)
	if err := Unmarshal([]byte(`{"logEvents":[`+strings.Join(events, ",")+`]}`), in); err != nil || len(in.LogEvents) != 10_000 {
		t.Errorf("Unmarshal = %v with %d events", err, len(in.LogEvents))
	}
}
