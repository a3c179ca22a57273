package awsjson

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

const ecsPrefix = "AmazonEC2ContainerServiceV20141113"

// sampleErrors are errors of every origin, with what they answer.
var sampleErrors = []struct {
	err           error
	want, message string
	status        int
	body          string
}{
	{&types.ServiceNotFoundException{Message: aws.String("Service not found.")},
		"ServiceNotFoundException", "Service not found.", 400,
		`{"__type":"ServiceNotFoundException","message":"Service not found."}`},
	{&types.ServerException{Message: aws.String("broken")},
		"ServerException", "broken", 500, `{"__type":"ServerException","message":"broken"}`},
	{&types.ConflictException{Message: aws.String("in use"), ResourceIds: []string{"a"}},
		"ConflictException", "in use", 400, `{"__type":"ConflictException","message":"in use","resourceIds":["a"]}`},
	{&smithy.GenericAPIError{Code: "Odd", Message: "m"},
		"Odd", "m", 400, `{"__type":"Odd","message":"m"}`},
	{Errorf("ThrottlingException", 429, "Rate %s", "exceeded"),
		"ThrottlingException", "Rate exceeded", 429, `{"__type":"ThrottlingException","message":"Rate exceeded"}`},
	{&SerializationError{Reason: "no"},
		"SerializationException", "no", 400, `{"__type":"SerializationException","message":"no"}`},
	{errors.New("disk"),
		"ServerException", "disk", 500, `{"__type":"ServerException","message":"disk"}`},
}

func TestMarshal(t *testing.T) {
	when := time.UnixMilli(1700000000123)
	tests := map[string]struct {
		in   any
		want string
	}{
		"zero numbers and false are sent, what is unset is not": {
			types.Service{ServiceName: aws.String("s"), Deployments: []types.Deployment{}},
			`{"deployments":[],"desiredCount":0,"enableECSManagedTags":false,"enableExecuteCommand":false,"pendingCount":0,"runningCount":0,"serviceName":"s"}`},
		"times are seconds with milliseconds": {types.Task{CreatedAt: &when}.CreatedAt, `1700000000.123`},
		"whole seconds have no fraction":      {time.Unix(1700000000, 0), `1700000000`},
		"members of ECR's Tag are upper case": {ecrtypes.Tag{Key: aws.String("k"), Value: aws.String("v")}, `{"Key":"k","Value":"v"}`},
		"a union is its one member": {
			types.ServiceConnectConfiguration{ContainerConfigurations: []types.ServiceConnectContainerConfiguration{
				&types.ServiceConnectContainerConfigurationMemberLogLevel{Value: "debug"}}},
			`{"enabled":false,"containerConfigurations":[{"logLevel":"debug"}]}`},
		"markup is not escaped":       {types.KeyValuePair{Value: aws.String("<a>&")}, `{"value":"<a>&"}`},
		"maps are in order":           {map[string]string{"b": "2", "a": "1"}, `{"a":"1","b":"2"}`},
		"nil is null":                 {nil, `null`},
		"blobs are base64":            {[]byte("hello"), `"aGVsbG8="`},
		"raw messages stay verbatim":  {struct{ TaskDefinition json.RawMessage }{json.RawMessage(`{"new": 1.50}`)}, `{"taskDefinition":{"new": 1.50}}`},
		"embedded shapes are members": {struct{ types.KeyValuePair }{types.KeyValuePair{Name: aws.String("n")}}, `{"name":"n"}`},
		"json tags name own members": {struct {
			X int `json:"other"`
		}{1}, `{"other":1}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Marshal(test.in)
			if err != nil || string(got) != test.want {
				t.Errorf("Marshal = %s, %v\nwant %s", got, err, test.want)
			}
			if !json.Valid(got) {
				t.Errorf("Marshal made invalid JSON: %s", got)
			}
		})
	}
}

func TestMarshal_refuses(t *testing.T) {
	for name, in := range map[string]any{
		"a broken raw message": json.RawMessage(`{"a":`),
		"a channel":            make(chan int),
	} {
		if got, err := Marshal(in); err == nil {
			t.Errorf("Marshal of %s = %s, want an error", name, got)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	var in ecs.ListServiceDeploymentsInput
	body := `{"service":"s","cluster":null,"unknown":{"x":[1]},"createdAt":{"before":1700000000.5},"maxResults":7.0}`
	if err := Unmarshal([]byte(body), &in); err != nil {
		t.Fatal(err)
	}
	if *in.Service != "s" || in.Cluster != nil || *in.MaxResults != 7 || in.CreatedAt.Before.UnixMilli() != 1700000000500 {
		t.Errorf("Unmarshal = %+v (%v)", in, in.CreatedAt.Before)
	}
	if err := Unmarshal(nil, &in); err != nil {
		t.Errorf("an empty body: %v, want an empty structure", err)
	}
}

func TestUnmarshal_refuses(t *testing.T) {
	tests := map[string]string{
		`{"desiredCount":"1"}`:             "STRING_VALUE can not be converted to an Integer",
		`{"desiredCount":1.5}`:             "number 1.5 can not be converted to an Integer",
		`{"desiredCount":99999999999}`:     "number 99999999999 can not be converted to an Integer",
		`{"desiredCount":1e999}`:           "number 1e999 can not be converted to an Integer",
		`{"service":1}`:                    "NUMBER_VALUE can not be converted to a String",
		`{"service":{}}`:                   "START_OBJECT can not be converted to a String",
		`{"forceNewDeployment":"yes"}`:     "STRING_VALUE can not be converted to a Boolean",
		`{"loadBalancers":{}}`:             "START_OBJECT can not be converted to a list",
		`{"deploymentConfiguration":[]}`:   "START_ARRAY can not be converted to a structure",
		`{"deploymentConfiguration":true}`: "TRUE_VALUE can not be converted to a structure",
		`[]`:                               "Unexpected value: the body must be a JSON object",
		`{} {}`:                            "unexpected data after the JSON value",
		`{"service":`:                      "unexpected EOF",
		`{"serviceConnectConfiguration":{"containerConfigurations":[{"a":1}]}}`: `ServiceConnectContainerConfiguration has no alternative "a"`,
		`{"serviceConnectConfiguration":{"containerConfigurations":[{}]}}`:      "a union must have exactly one member set",
	}
	for body, want := range tests {
		err := Unmarshal([]byte(body), new(ecs.UpdateServiceInput))
		var serialization *SerializationError
		if !errors.As(err, &serialization) || serialization.Reason != want {
			t.Errorf("Unmarshal(%s) = %v, want %q", body, err, want)
		}
	}
	if err := Unmarshal([]byte(`{"createdAt":{"before":1e300}}`), new(ecs.ListServiceDeploymentsInput)); err == nil {
		t.Error("a time beyond all calendars was taken")
	}
}

// newClient serves a mux with one ECS operation and returns the SDK's client.
func newClient(t *testing.T, intercept Interceptor, f func(context.Context, *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error)) (*ecs.Client, string) {
	t.Helper()
	s := NewService(ecsPrefix)
	Handle(s, "DescribeServices", f)
	m := &Mux{Intercept: intercept}
	m.Add("ecs", s)
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	return ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	}), server.URL
}

func TestMux_answersTheSDK(t *testing.T) {
	var raw string
	client, _ := newClient(t, nil, func(ctx context.Context, in *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
		raw = string(RawBody(ctx))
		if in.Services[0] == "none" {
			return nil, &types.ClusterNotFoundException{Message: aws.String("Cluster not found.")}
		}
		return &ecs.DescribeServicesOutput{Services: []types.Service{{ServiceName: &in.Services[0]}}}, nil
	})
	out, err := client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"web"}})
	if err != nil || *out.Services[0].ServiceName != "web" {
		t.Errorf("DescribeServices = %+v, %v; want the service web", out, err)
	}
	if raw != `{"services":["web"]}` {
		t.Errorf("RawBody = %s", raw)
	}
	_, err = client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"none"}})
	var notFound *types.ClusterNotFoundException
	if !errors.As(err, &notFound) || notFound.ErrorMessage() != "Cluster not found." {
		t.Errorf("DescribeServices = %v, want ClusterNotFoundException", err)
	}
}

func TestMux_unknownOperation(t *testing.T) {
	client, url := newClient(t, nil, nil)
	_, err := client.ExecuteCommand(t.Context(), &ecs.ExecuteCommandInput{Command: aws.String("sh"), Task: aws.String("t"), Interactive: true})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "UnknownOperationException" || !strings.Contains(api.ErrorMessage(), "ExecuteCommand") {
		t.Errorf("ExecuteCommand = %v, want UnknownOperationException that names it", err)
	}
	foreign := ecr.New(ecr.Options{Region: "us-east-1", BaseEndpoint: &url, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	_, err = foreign.DescribeRegistry(t.Context(), &ecr.DescribeRegistryInput{})
	if !errors.As(err, &api) || api.ErrorCode() != "UnknownOperationException" || !strings.Contains(api.ErrorMessage(), "DescribeRegistry") {
		t.Errorf("DescribeRegistry = %v, want UnknownOperationException that names it", err)
	}
}

func TestMux_badRequests(t *testing.T) {
	_, url := newClient(t, nil, func(context.Context, *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
		t.Error("a request that cannot be decoded reached the operation")
		return nil, nil
	})
	tests := map[string]struct {
		target, body string
		status       int
		code         string
	}{
		"no target":      {"", `{}`, 400, "UnknownOperationException"},
		"not JSON":       {ecsPrefix + ".DescribeServices", `{`, 400, "SerializationException"},
		"a wrong type":   {ecsPrefix + ".DescribeServices", `{"services":"web"}`, 400, "SerializationException"},
		"too large":      {ecsPrefix + ".DescribeServices", `{"x":"` + strings.Repeat("x", MaxBody) + `"}`, 413, "RequestEntityTooLargeException"},
		"nested too far": {ecsPrefix + ".DescribeServices", strings.Repeat("[", 100_000), 400, "SerializationException"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Target", test.target)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, _ := io.ReadAll(answer.Body)
			var got struct {
				Type string `json:"__type"`
			}
			if err := json.Unmarshal(body, &got); err != nil || got.Type != test.code || answer.StatusCode != test.status {
				t.Errorf("answer is %d %s, want %d %s", answer.StatusCode, body, test.status, test.code)
			}
		})
	}
}

func TestMux_cut(t *testing.T) {
	cut := func(ctx context.Context, c Call, next func(context.Context) Answer) Answer {
		a := next(ctx)
		a.Cut = true
		return a
	}
	called := make(chan struct{}, 1)
	client, _ := newClient(t, cut, func(context.Context, *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
		called <- struct{}{}
		return &ecs.DescribeServicesOutput{}, nil
	})
	_, err := client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"web"}})
	var api smithy.APIError
	if err == nil || errors.As(err, &api) {
		t.Errorf("DescribeServices = %v, want a broken connection", err)
	}
	if len(called) != 1 {
		t.Error("the operation was not done")
	}
}
