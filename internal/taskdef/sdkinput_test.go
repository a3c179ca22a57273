package taskdef

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// roundTripper is an http.RoundTripper made of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sdkClient is a real SDK client that talks to f.
func sdkClient(url string, f http.RoundTripper) *ecs.Client {
	return ecs.New(ecs.Options{
		Region: "ap-south-1", BaseEndpoint: &url, HTTPClient: &http.Client{Transport: f},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		}),
	})
}

// sdkBody is what the SDK writes for an input of RegisterTaskDefinition.
func sdkBody(t *testing.T, in *ecs.RegisterTaskDefinitionInput) []byte {
	t.Helper()
	var body []byte
	c := sdkClient("http://127.0.0.1:1", roundTripper(func(r *http.Request) (*http.Response, error) {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
	}))
	if _, err := c.RegisterTaskDefinition(context.Background(), in); err != nil {
		t.Fatalf("RegisterTaskDefinition() = %v", err)
	}
	return body
}

// fill gives every exported field of v, at every depth, a value that is not
// its zero value, and returns how many it set. Lists get two entries.
func fill(v reflect.Value, n *int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		if _, ok := v.Addr().Interface().(*time.Time); ok {
			v.Set(reflect.ValueOf(time.Unix(1_700_000_000, 0)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Interface:
		for _, member := range unions {
			if m := reflect.ValueOf(member()); m.Type().Implements(v.Type()) {
				fill(m.Elem(), n)
				v.Set(m)
				return
			}
		}
		panic("a union that this test does not know: " + v.Type().String())
	case reflect.Map:
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(k, n)
		fill(e, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(k, e)
	default:
		*n++
		fillScalar(v, *n)
	}
}

// unions make a member of each union type in a registration.
var unions = []func() any{
	func() any { return &types.SharingStrategyMemberNvidiaMps{} },
	func() any { return &types.ServiceConnectContainerConfigurationMemberLogLevel{} },
}

func fillScalar(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("value-%d", n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(n) + 0.5)
	default:
		panic("a kind of field that this test does not know: " + v.Kind().String())
	}
}

// fullInput is an input with every field of the SDK set.
func fullInput(t *testing.T) *ecs.RegisterTaskDefinitionInput {
	t.Helper()
	in, n := &ecs.RegisterTaskDefinitionInput{}, 0
	fill(reflect.ValueOf(in).Elem(), &n)
	if n < 200 {
		t.Fatalf("fill set %d values, want the hundreds that the SDK has", n)
	}
	in.Family = aws.String("weelobackendtask")
	return in
}

// described turns a registration body into the answer that describes it: the
// tags beside the definition, read-only members in it.
func described(t *testing.T, body []byte) (raw json.RawMessage, tags []Tag) {
	t.Helper()
	o, err := parseObject(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(o.get("tags"), &tags); err != nil {
		t.Fatal(err)
	}
	o = o.without("tags")
	for _, m := range readOnly {
		o = append(o, member{m, json.RawMessage(`["read-only"]`)})
	}
	o = o.with("revision", json.RawMessage("27")).with("status", json.RawMessage(`"ACTIVE"`)).
		with("registeredAt", json.RawMessage("1.764841712263E9")).
		with("taskDefinitionArn", json.RawMessage(`"arn:aws:ecs:ap-south-1:318774499084:task-definition/weelobackendtask:27"`))
	return o.bytes(), tags
}

func TestNext_keepsEveryFieldOfTheSDK(t *testing.T) {
	body := sdkBody(t, fullInput(t))
	keepsAll(t, body)
}

func TestNext_keepsUnknownMembersAtEveryDepth(t *testing.T) {
	body := bytes.ReplaceAll(sdkBody(t, fullInput(t)), []byte("{"), []byte(`{"futureMember":{"deep":[1.50e+03,null,""]},`))
	body = bytes.ReplaceAll(body, []byte(`,}`), []byte("}"))
	// Maps of text stay maps of text.
	for _, m := range []string{"options", "dockerLabels", "driverOpts", "labels"} {
		body = bytes.ReplaceAll(body, []byte(`"`+m+`":{"futureMember":{"deep":[1.50e+03,null,""]}`), []byte(`"`+m+`":{"futureMember":"x"`))
	}
	if n := bytes.Count(body, []byte("futureMember")); n < 60 {
		t.Fatalf("the body holds %d unknown members, want one in each object", n)
	}
	keepsAll(t, body)
}

// keepsAll checks that base → Next → registration gives the bytes of body.
func keepsAll(t *testing.T, body []byte) {
	t.Helper()
	raw, tags := described(t, body)
	base, err := Parse(raw, tags)
	if err != nil {
		t.Fatalf("Parse() = %v", err)
	}
	next, err := base.Next(Change{Container: base.Containers()[0].Name})
	if err != nil {
		t.Fatalf("Next() = %v", err)
	}
	got, err := next.registration(nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseObject(body)
	if err != nil {
		t.Fatal(err)
	}
	have, err := parseObject(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range want {
		if m.name == "tags" {
			continue // their spelling is ours
		}
		if g := have.get(m.name); !bytes.Equal(g, m.value) {
			t.Errorf("%s:\n got %s\nwant %s", m.name, g, m.value)
		}
	}
	if w, h := len(want), len(have); w != h {
		t.Errorf("the registration has %d members, want %d: %s", h, w, got)
	}
}
