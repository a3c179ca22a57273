package cluster

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// TestAPI_over_HTTP drives the API as a client outside does, and looks at the
// bytes: unknown members of a task definition and zero counts must be there.
func TestAPI_over_HTTP(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Speed = 1000 })
	defer w.close()
	var mux awsjson.Mux
	mux.Add("ecs", w.c.API())
	server := httptest.NewServer(&mux)
	defer server.Close()
	call := func(operation, body string) map[string]json.RawMessage {
		t.Helper()
		return post(t, server, operation, body)
	}
	call("RegisterTaskDefinition", `{"family":"web","networkMode":"bridge","quantum":{"spin":0.50},"containerDefinitions":[
		{"name":"app","image":"127.0.0.1:5000/web:1","memory":64,"environment":[{"name":"EMPTY","value":""}],"newer":[1,2],"portMappings":[{"containerPort":80}]}]}`)
	got := call("DescribeTaskDefinition", `{"taskDefinition":"web:1"}`)["taskDefinition"]
	var d struct {
		Quantum    json.RawMessage   `json:"quantum"`
		Containers []json.RawMessage `json:"containerDefinitions"`
		Status     string            `json:"status"`
		Revision   int               `json:"revision"`
	}
	if err := json.Unmarshal(got, &d); err != nil {
		t.Fatal(err)
	}
	if string(d.Quantum) != `{"spin":0.50}` || d.Status != "ACTIVE" || d.Revision != 1 {
		t.Errorf("task definition is %s", got)
	}
	want := `{"name":"app","image":"127.0.0.1:5000/web:1","memory":64,"environment":[{"name":"EMPTY","value":""}],"newer":[1,2],` +
		`"portMappings":[{"containerPort":80,"hostPort":0,"protocol":"tcp"}],"cpu":0,"essential":true,"mountPoints":[],"volumesFrom":[],"systemControls":[]}`
	if diff := cmp.Diff(want, string(d.Containers[0])); diff != "" {
		t.Errorf("container definition (-want +got):\n%s", diff)
	}
	call("CreateCluster", `{"clusterName":"prod"}`)
	created := call("CreateService", `{"cluster":"prod","serviceName":"web","taskDefinition":"web","desiredCount":2}`)
	if !strings.Contains(string(created["service"]), `"runningCount":0`) {
		t.Errorf("the answer of CreateService has no runningCount of 0: %s", created["service"])
	}
	c := newClient(server.URL, server.Client())
	wait := ecs.NewServicesStableWaiter(c, func(o *ecs.ServicesStableWaiterOptions) {
		o.MinDelay, o.MaxDelay = 10*time.Millisecond, 50*time.Millisecond
	})
	if err := wait.Wait(ctx, &ecs.DescribeServicesInput{Cluster: aws.String("prod"), Services: []string{"web"}}, time.Minute); err != nil {
		t.Errorf("the SDK's services-stable waiter: %v", err)
	}
}

// post sends one call as its bytes and returns the members of the answer.
func post(t *testing.T, server *httptest.Server, operation, body string) map[string]json.RawMessage {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", targetPrefix+"."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s (%v)", operation, resp.Status, b, err)
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
