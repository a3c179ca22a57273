package taskdef

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"crypto/sha256"

	"github.com/weelo/weelo-deploy/internal/event"
)

// call is a request as it came over the wire.
type call struct {
	operation string
	body      []byte
	request   *http.Request
}

// fakeAWS answers with what answer gives for the nth call of an operation.
func fakeAWS(t *testing.T, answer func(op string, n int) (status int, body string)) (*ecs.Client, *[]call) {
	t.Helper()
	calls := &[]call{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the request: %v", err)
		}
		_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		*calls = append(*calls, call{op, body, r})
		n := 0
		for _, c := range *calls {
			if c.operation == op {
				n++
			}
		}
		status, text := answer(op, n)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}))
	t.Cleanup(srv.Close)
	c := sdkClient(srv.URL, srv.Client().Transport)
	return c, calls
}

func ok(body string) func(string, int) (int, string) {
	return func(string, int) (int, string) { return 200, body }
}

func TestClient_Describe_keepsTheBytes(t *testing.T) {
	api, calls := fakeAWS(t, ok(`{"tags":[{"key":"team","value":"core"},{"key":"weelo-deploy:run","value":"r1"}],"taskDefinition": `+revision27+` ,"x":1}`))
	d, err := Client{api}.Describe(context.Background(), "weelobackendtask:27")
	if err != nil {
		t.Fatalf("Describe() = %v", err)
	}
	if string(d.Raw()) != revision27 {
		t.Errorf("Raw() = %s\nwant the bytes of the answer", d.Raw())
	}
	if got := d.Tags(); len(got) != 2 || got[1].Key != "weelo-deploy:run" {
		t.Errorf("Tags() = %v", got)
	}
	if got, want := string((*calls)[0].body), `{"include":["TAGS"],"taskDefinition":"weelobackendtask:27"}`; got != want {
		t.Errorf("request = %s, want %s", got, want)
	}
}

func TestClient_Describe_fails(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
		code       event.Code
		is         error
		says       string
	}{
		{"missing", `{"__type":"ClientException","message":"Unable to describe task definition."}`, 400, event.CodeNotFound, ErrNotFound, "weelobackendtask:9"},
		{"denied", `{"__type":"AccessDeniedException","message":"no"}`, 400, event.CodeAccessDenied, nil, "describe task definition weelobackendtask:9: denied"},
		{"an answer without a definition", `{}`, 200, event.CodeInternal, nil, "it holds no task definition"},
	} {
		t.Run(c.name, func(t *testing.T) {
			api, _ := fakeAWS(t, func(string, int) (int, string) { return c.status, c.body })
			_, err := Client{api}.Describe(context.Background(), "weelobackendtask:9")
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("Describe() error = %v, want it to say %q", err, c.says)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("Describe() error = %v, want it to be %v", err, c.is)
			}
			if got := event.FailuresOf(err)[0].Code; got != c.code {
				t.Errorf("code = %s, want %s", got, c.code)
			}
		})
	}
}

func TestClient_Register_sendsTheBytes(t *testing.T) {
	registered := strings.Replace(revision27, `"revision": 27`, `"revision": 38`, 1)
	api, calls := fakeAWS(t, ok(`{"taskDefinition":`+registered+`,"tags":[{"key":"weelo-deploy:run","value":"r2"}]}`))
	n := next(t, parse(t, revision27, Tag{"team", "core"}), Change{Image: pinned})
	made, err := Client{api}.Register(context.Background(), n, []Tag{{"weelo-deploy:run", "r2"}})
	if err != nil {
		t.Fatalf("Register() = %v", err)
	}
	want, err := n.registration([]Tag{{"weelo-deploy:run", "r2"}})
	if err != nil {
		t.Fatal(err)
	}
	c := (*calls)[0]
	if string(c.body) != string(want) {
		t.Errorf("body = %s\nwant %s", c.body, want)
	}
	if !strings.Contains(string(c.body), `"futureTop":{"n": 1e400}`) {
		t.Error("the body lost the bytes of an unknown member")
	}
	if c.request.ContentLength != int64(len(want)) {
		t.Errorf("Content-Length = %d, want %d", c.request.ContentLength, len(want))
	}
	checkSignature(t, c)
	if made.Name() != "weelobackendtask:38" || string(made.Raw()) != registered {
		t.Errorf("Register() = %s, want the revision of the answer", made.Name())
	}
}

// checkSignature signs the request anew, from what came over the wire.
func checkSignature(t *testing.T, c call) {
	t.Helper()
	got := c.request.Header.Get("Authorization")
	_, signed, _ := strings.Cut(got, "SignedHeaders=")
	signed, _, _ = strings.Cut(signed, ",")
	again, err := http.NewRequest(c.request.Method, "http://"+c.request.Host+c.request.URL.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range strings.Split(signed, ";") {
		if v := c.request.Header.Get(h); v != "" && h != "content-length" {
			again.Header.Set(h, v)
		}
	}
	again.ContentLength = int64(len(c.body))
	at, err := time.Parse("20060102T150405Z", c.request.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	cred := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}
	hash := fmt.Sprintf("%x", sha256.Sum256(c.body))
	if err := v4.NewSigner().SignHTTP(context.Background(), cred, again, hash, "ecs", "ap-south-1", at); err != nil {
		t.Fatal(err)
	}
	if want := again.Header.Get("Authorization"); got != want {
		t.Errorf("Authorization = %s\nwant %s", got, want)
	}
}

func TestClient_Register_retriesWithTheSameBytes(t *testing.T) {
	api, calls := fakeAWS(t, func(_ string, n int) (int, string) {
		if n == 1 {
			return 400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`
		}
		return 200, `{"taskDefinition":` + revision27 + `}`
	})
	if _, err := (Client{api}).Register(context.Background(), next(t, parse(t, revision27), Change{}), nil); err != nil {
		t.Fatalf("Register() = %v", err)
	}
	if n := len(*calls); n != 2 || !slices.Equal((*calls)[0].body, (*calls)[1].body) {
		t.Errorf("%d calls, want two with the same body", n)
	}
	checkSignature(t, (*calls)[1])
}

func TestClient_Register_invalid(t *testing.T) {
	api, _ := fakeAWS(t, func(string, int) (int, string) {
		return 400, `{"__type":"ClientException","message":"Container.name contains invalid characters."}`
	})
	_, err := Client{api}.Register(context.Background(), parse(t, revision27), nil)
	f := event.FailuresOf(err)[0]
	if f.Code != event.CodeInvalidDefinition || f.Reason != "Container.name contains invalid characters." {
		t.Errorf("Register() failure = %s, reason %q", f.Code, f.Reason)
	}
}

// deaf is a client that drops the options, as a wrapper with a fault would.
type deaf struct{ *ecs.Client }

func (d deaf) DescribeTaskDefinition(ctx context.Context, in *ecs.DescribeTaskDefinitionInput, _ ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error) {
	return d.Client.DescribeTaskDefinition(ctx, in)
}

func TestClient_neverFallsBackToTheSDKsStructures(t *testing.T) {
	api, _ := fakeAWS(t, ok(`{"taskDefinition":{"family":"x"}}`))
	if _, err := (Client{deaf{api}}).Describe(context.Background(), "x"); !errors.Is(err, errNotCaptured) {
		t.Errorf("Describe() error = %v, want %v", err, errNotCaptured)
	}
}

func TestClient_Tag(t *testing.T) {
	api, calls := fakeAWS(t, ok(`{}`))
	err := Client{api}.Tag(context.Background(), "arn:27", map[string]string{"b": "2", "a": "1"}, []string{"c"})
	if err != nil {
		t.Fatalf("Tag() = %v", err)
	}
	var got []string
	for _, c := range *calls {
		got = append(got, c.operation+" "+string(c.body))
	}
	want := []string{
		`TagResource {"resourceArn":"arn:27","tags":[{"key":"a","value":"1"},{"key":"b","value":"2"}]}`,
		`UntagResource {"resourceArn":"arn:27","tagKeys":["c"]}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("calls = %q, want %q", got, want)
	}
	*calls = nil
	if err := (Client{api}).Tag(context.Background(), "arn:27", nil, nil); err != nil || len(*calls) != 0 {
		t.Errorf("Tag() without tags = %v after %d calls, want none", err, len(*calls))
	}
}

func TestClient_Deregister(t *testing.T) {
	api, calls := fakeAWS(t, ok(`{}`))
	if err := (Client{api}).Deregister(context.Background(), "arn:38"); err != nil {
		t.Errorf("Deregister() = %v", err)
	}
	if c := (*calls)[0]; c.operation != "DeregisterTaskDefinition" || string(c.body) != `{"taskDefinition":"arn:38"}` {
		t.Errorf("call = %s %s", c.operation, c.body)
	}
}
