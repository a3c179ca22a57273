package awsjson

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	cwlschemas "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/schemas"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrschemas "github.com/aws/aws-sdk-go-v2/service/ecr/schemas"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecsdocument "github.com/aws/aws-sdk-go-v2/service/ecs/document"
	ecsschemas "github.com/aws/aws-sdk-go-v2/service/ecs/schemas"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/google/go-cmp/cmp"
)

// sdk is one service as the SDK knows it: the oracle of this test.
type sdk struct {
	name     string
	client   any
	protocol *awsjson.Protocol
	// exceptions are the shapes that do not make the round trip, with why.
	exceptions map[string]string
}

var sdks = []sdk{
	{"ECS", (*ecs.Client)(nil), awsjson.New11(ecsschemas.AmazonEC2ContainerServiceV20141113), nil},
	{"ECR", (*ecr.Client)(nil), awsjson.New11(ecrschemas.AmazonEC2ContainerRegistry_V20150921), nil},
	{"Logs", (*cwl.Client)(nil), awsjson.New11(cwlschemas.Logs_20140328), map[string]string{
		"DescribeDestinationsInput": "the model spells its one member DestinationNamePrefix; nobody serves it",
	}},
}

// oneOperation is any operation: the SDK's codec wants one, and looks only at
// its name.
var oneOperation = smithy.NewOperationSchema(ecsschemas.DescribeServices, ecsschemas.DescribeServicesRequest, ecsschemas.DescribeServicesResponse)

func TestConformance(t *testing.T) {
	for _, s := range sdks {
		t.Run(s.name, func(t *testing.T) {
			failed := make(map[string]string)
			inputs, outputs := 0, 0
			for method := range operations(s.client) {
				in, out := method.Type.In(2).Elem(), method.Type.Out(0).Elem()
				inputs++
				if err := requestTrip(s.protocol, in); err != nil {
					failed[in.Name()] = err.Error()
				}
				outputs++
				if err := answerTrip(s.protocol, out); err != nil {
					failed[out.Name()] = err.Error()
				}
			}
			t.Logf("%d requests, %d answers", inputs, outputs)
			if inputs < 60 {
				t.Errorf("found %d operations of %s, want all of them", inputs, s.name)
			}
			for _, name := range slices.Sorted(maps.Keys(failed)) {
				if _, known := s.exceptions[name]; !known {
					t.Errorf("%s does not make the round trip:\n%s", name, failed[name])
				}
			}
			for name := range s.exceptions {
				if _, still := failed[name]; !still {
					t.Errorf("%s makes the round trip now: remove it from the exceptions", name)
				}
			}
		})
	}
}

// operations yields the operations of a client: methods that take a context and
// an input, and return an output and an error.
func operations(client any) func(func(reflect.Method) bool) {
	return func(yield func(reflect.Method) bool) {
		t := reflect.TypeOf(client)
		for i := range t.NumMethod() {
			m := t.Method(i)
			if m.Type.NumIn() < 3 || m.Type.NumOut() != 2 || m.Type.In(2).Kind() != reflect.Pointer {
				continue
			}
			if !yield(m) {
				return
			}
		}
	}
}

// requestTrip has the SDK write a request that we read.
func requestTrip(p *awsjson.Protocol, in reflect.Type) error {
	sent := filled(in)
	r := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	if err := p.SerializeRequest(context.Background(), oneOperation, sent.(smithy.Serializable), r); err != nil {
		return fmt.Errorf("the SDK cannot write it: %w", err)
	}
	body, err := io.ReadAll(r.GetStream())
	if err != nil {
		return err
	}
	got := reflect.New(in).Interface()
	if err := Unmarshal(body, got); err != nil {
		return fmt.Errorf("decode %s: %w", body, err)
	}
	return difference(sent, got)
}

// answerTrip has the SDK read an answer that we wrote.
func answerTrip(p *awsjson.Protocol, out reflect.Type) error {
	sent := filled(out)
	body, err := Marshal(sent)
	if err != nil {
		return err
	}
	got := reflect.New(out).Interface()
	readable, ok := got.(smithy.Deserializable)
	if !ok {
		return fmt.Errorf("the SDK reads it otherwise")
	}
	r := &smithyhttp.Response{Response: &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body))}}
	if err := p.DeserializeResponse(context.Background(), oneOperation, &smithy.TypeRegistry{}, r, readable); err != nil {
		return fmt.Errorf("the SDK cannot read %s: %w", body, err)
	}
	return difference(sent, got)
}

// difference compares two values of one shape; documents by their JSON.
func difference(sent, got any) error {
	asJSON := cmp.Transformer("document", func(d ecsdocument.Interface) string {
		b, err := d.MarshalSmithyDocument()
		return fmt.Sprint(string(b), err)
	})
	exported := cmp.FilterPath(func(p cmp.Path) bool {
		f, ok := p.Last().(cmp.StructField)
		return ok && (f.Name() == "ResultMetadata" || f.Name()[0] >= 'a')
	}, cmp.Ignore())
	if d := cmp.Diff(sent, got, asJSON, exported); d != "" {
		return fmt.Errorf("(-sent +got):\n%s", d)
	}
	return nil
}

// maxFill bounds how deep recursive shapes are filled.
const maxFill = 12

// filled returns a pointer to a value of the type with every member set.
func filled(t reflect.Type) any {
	v := reflect.New(t)
	fill(v.Elem(), 0)
	return v.Interface()
}

func fill(v reflect.Value, depth int) {
	if depth > maxFill {
		return
	}
	switch {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(time.UnixMilli(1795333847409).UTC()))
		return
	case v.Type() == documentType:
		v.Set(reflect.ValueOf(ecsdocument.NewLazyDocument(map[string]any{"key": "value", "n": 1})))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "ResultMetadata" {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Interface:
		for _, m := range unions.members[v.Type()] {
			alternative := reflect.New(m.typ)
			fill(alternative.Elem(), depth+1)
			v.Set(alternative)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("Key-1").Convert(v.Type().Key()), e)
	default:
		fillPlain(v)
	}
}

func fillPlain(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("<a> & \"b\"\n")
	case reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt(7)
	case reflect.Float64, reflect.Float32:
		v.SetFloat(1.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(65)
	}
}

// TestUnionsKnown finds the unions of the shapes by itself, so that one that the
// SDK gains is not silently left empty by the round trip above.
func TestUnionsKnown(t *testing.T) {
	seen := make(map[reflect.Type]bool)
	var walk func(reflect.Type, string)
	walk = func(x reflect.Type, where string) {
		if seen[x] || x == timeType || x == documentType {
			return
		}
		seen[x] = true
		switch x.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(x.Elem(), where)
		case reflect.Struct:
			for _, f := range infoOf(x).fields {
				walk(x.FieldByIndex(f.index).Type, where+"."+f.name)
			}
		case reflect.Interface:
			if len(unions.members[x]) == 0 {
				t.Errorf("%s is the union %s, whose alternatives are not known", where, x.Name())
			}
		}
	}
	for _, s := range sdks {
		for m := range operations(s.client) {
			walk(m.Type.In(2).Elem(), m.Name+"Input")
			walk(m.Type.Out(0).Elem(), m.Name+"Output")
		}
	}
}
