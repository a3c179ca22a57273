package sandbox

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServer_identity(t *testing.T) {
	w := start(t, Config{Account: "318774499084", Region: "ap-south-1"})
	who, err := w.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *who.Account != "318774499084" || *who.Arn != "arn:aws:iam::318774499084:user/sandbox" || *who.UserId == "" {
		t.Errorf("identity is %s %s", *who.Account, *who.Arn)
	}
	_, err = w.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::318774499084:role/x"), RoleSessionName: aws.String("s")})
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != "InvalidAction" || !strings.Contains(e.ErrorMessage(), "AssumeRole") {
		t.Errorf("AssumeRole = %v, want InvalidAction that names it", err)
	}
	made, err := w.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("c")})
	if err != nil || *made.Cluster.ClusterArn != "arn:aws:ecs:ap-south-1:318774499084:cluster/c" {
		t.Errorf("CreateCluster = %+v, %v", made, err)
	}
}

func TestServer_simulatesWhatFaultsDeny(t *testing.T) {
	w := start(t, Config{Account: "318774499084"})
	ctx := t.Context()
	ask := func(caller string) (*iam.SimulatePrincipalPolicyOutput, error) {
		return w.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{
			PolicySourceArn: &caller, ActionNames: []string{"ecs:ListClusters", "iam:PassRole"}, ResourceArns: []string{"arn:aws:iam::318774499084:role/x"},
		})
	}
	w.fault(t, `{"deny":"ecs:ListClusters"}`)
	out, err := ask("arn:aws:iam::318774499084:user/sandbox")
	if err != nil || len(out.EvaluationResults) != 2 {
		t.Fatalf("SimulatePrincipalPolicy = %+v, %v", out, err)
	}
	for i, want := range []iamtypes.PolicyEvaluationDecisionType{"implicitDeny", "allowed"} {
		if r := out.EvaluationResults[i]; r.EvalDecision != want || *r.EvalResourceName != "arn:aws:iam::318774499084:role/x" {
			t.Errorf("%s on %s is %s, want %s", *r.EvalActionName, *r.EvalResourceName, r.EvalDecision, want)
		}
	}
	_, err = w.ecs.ListClusters(ctx, &ecs.ListClustersInput{})
	wantCode(t, err, "AccessDeniedException")
	_, err = ask("arn:aws:iam::318774499084:role/other")
	wantCode(t, err, "NoSuchEntity")
	many := slices.Repeat([]string{"x:Y"}, 200)
	_, err = w.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String("arn:aws:iam::318774499084:user/sandbox"), ActionNames: many, ResourceArns: many})
	wantCode(t, err, "InvalidInput")
	w.fault(t, `{"deny":"iam:Simulate*"}`)
	_, err = ask("arn:aws:iam::318774499084:user/sandbox")
	wantCode(t, err, "AccessDenied")
	_, err = w.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("x")})
	wantCode(t, err, "InvalidAction")
}

func TestServer_environment(t *testing.T) {
	w := start(t, Config{})
	want := []string{
		"AWS_ENDPOINT_URL=" + w.URL(), "AWS_ACCESS_KEY_ID=sandbox", "AWS_SECRET_ACCESS_KEY=sandbox",
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
	}
	if got := strings.Join(w.Env(), " "); got != strings.Join(want, " ") {
		t.Errorf("Env = %s\nwant %s", got, want)
	}
}

func TestServer_unknownOperations(t *testing.T) {
	w := start(t, Config{})
	ctx := t.Context()
	_, err := w.ecs.DescribeTaskSets(ctx, &ecs.DescribeTaskSetsInput{Cluster: aws.String("c"), Service: aws.String("s")})
	wantCode(t, err, "UnknownOperationException")
	_, err = w.ecr.DescribePullThroughCacheRules(ctx, &ecr.DescribePullThroughCacheRulesInput{})
	wantCode(t, err, "UnknownOperationException")
	_, err = w.logs.StartQuery(ctx, &cloudwatchlogs.StartQueryInput{QueryString: aws.String("q"), StartTime: aws.Int64(1), EndTime: aws.Int64(2)})
	wantCode(t, err, "UnknownOperationException")
}

func TestServer_status(t *testing.T) {
	w := start(t, Config{})
	var status struct {
		Account, Region, Registry string
		Operations                map[string][]string
	}
	w.control(t, http.MethodGet, "/_sandbox/status", "", &status)
	if status.Account != DefaultAccount || status.Registry != w.Registry() || len(status.Operations["ecs"]) < 20 || len(status.Operations["sts"]) != 1 {
		t.Errorf("status is %+v", status)
	}
}

func TestServer_faultsAndCalls(t *testing.T) {
	w := start(t, Config{})
	ctx := t.Context()
	list := func() error {
		_, err := w.ecs.ListClusters(ctx, &ecs.ListClustersInput{})
		return err
	}
	identity := func() error {
		_, err := w.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	}
	w.fault(t, `{"when":"ListClusters","times":1,"error":"ThrottlingException"}`)
	wantCode(t, list(), "ThrottlingException")
	w.fault(t, `{"when":"GetCallerIdentity","times":1,"error":"AccessDenied","message":"no","status":403}`)
	wantCode(t, identity(), "AccessDenied")
	w.fault(t, `{"when":"CreateCluster","dropAnswer":true}`)
	if _, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("c")}); err == nil {
		t.Error("CreateCluster got its answer, want the connection cut")
	}
	if err := errors.Join(list(), identity()); err != nil {
		t.Errorf("after the faults: %v", err)
	}
	out, err := w.ecs.ListClusters(ctx, &ecs.ListClustersInput{})
	if err != nil || len(out.ClusterArns) != 1 {
		t.Errorf("clusters are %+v, %v; want the one whose answer was lost", out, err)
	}
	var log struct {
		Calls []struct {
			Service, Operation, Error string
			Status                    int
		}
		Totals map[string]int
	}
	w.control(t, http.MethodGet, "/_sandbox/calls", "", &log)
	if log.Totals["ecs.ListClusters"] != 3 || log.Totals["sts.GetCallerIdentity"] != 2 || log.Totals["ecs.CreateCluster"] != 1 || len(log.Calls) != 6 {
		t.Errorf("log is %+v", log)
	}
	if c := log.Calls[0]; c.Error != "ThrottlingException" || c.Status != 400 {
		t.Errorf("first call is %+v", c)
	}
	if c := log.Calls[2]; c.Operation != "CreateCluster" || c.Status != 0 {
		t.Errorf("third call is %+v, want it cut off", c)
	}
}

func TestServer_refusesWebPages(t *testing.T) {
	w := start(t, Config{})
	for name, change := range map[string]func(*http.Request){
		"another site's page":    func(r *http.Request) { r.Header.Set("Origin", "https://example.com") },
		"a name made to fit":     func(r *http.Request) { r.Host = "sandbox.example.com" },
		"a page with no origin":  func(r *http.Request) { r.Header.Set("Origin", "null") },
		"an address of the net":  func(r *http.Request) { r.Host = "192.0.2.1:80" },
		"Docker's name for us":   func(r *http.Request) { r.Host = "host.docker.internal:8477" },
		"a name that looks like": func(r *http.Request) { r.Host = "localhost.example.com" },
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL()+"/_sandbox/faults", strings.NewReader(`{"push":"denied"}`))
			if err != nil {
				t.Fatal(err)
			}
			change(r)
			answer, err := w.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusForbidden {
				t.Errorf("answer is %d, want 403", answer.StatusCode)
			}
		})
	}
}

func TestServer_listensForOthersOnlyWhenThatIsAskedFor(t *testing.T) {
	w := start(t, Config{Listen: "0.0.0.0:0", UnsafeListen: true})
	if host, _, _ := net.SplitHostPort(w.Registry()); host != "127.0.0.1" || !strings.HasPrefix(w.URL(), "http://127.0.0.1:") {
		t.Errorf("clients of this machine are sent to %s", w.URL())
	}
	for host, want := range map[string]int{"192.0.2.1:80": http.StatusOK, "sandbox.example.com": http.StatusForbidden, "localhost": http.StatusOK, "host.docker.internal:80": http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL()+"/_sandbox/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := w.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("asked as %s it answers %d, want %d", host, answer.StatusCode, want)
		}
	}
}

func TestStart_refuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, test := range map[string]struct {
		cfg  Config
		want string
		is   error
	}{
		"a port that is taken":     {Config{Listen: taken.Addr().String()}, "listen on " + taken.Addr().String() + ": the port is taken", ErrPortTaken},
		"all addresses":            {Config{Listen: "0.0.0.0:0"}, `listen on "0.0.0.0:0": not a loopback address, such as 127.0.0.1`, ErrNotLoopback},
		"no address":               {Config{Listen: ":8477"}, `listen on ":8477": not a loopback address, such as 127.0.0.1`, ErrNotLoopback},
		"an address of IPv6":       {Config{Listen: "[::1]:0"}, `listen on "[::1]:0": not a loopback address, such as 127.0.0.1`, ErrNotLoopback},
		"a name":                   {Config{Listen: "example.com:80"}, `listen on "example.com:80": not a loopback address, such as 127.0.0.1`, ErrNotLoopback},
		"no port":                  {Config{Listen: "127.0.0.1"}, `listen on "127.0.0.1": address 127.0.0.1: missing port in address`, nil},
		"an account of 3 digits":   {Config{Account: "123"}, `account "123" is not 12 digits`, nil},
		"a region that is none":    {Config{Region: "here"}, `"here" is no name of a region`, nil},
		"a speed backwards":        {Config{Speed: -1}, "speed must be above 0, not -1", nil},
		"an address elsewhere":     {Config{Listen: "192.0.2.1:0", UnsafeListen: true}, "", ErrNoAddress},
		"a state that is a file":   {Config{State: "sandbox_test.go"}, "", ErrStateFolder},
		"a state in no folder":     {Config{State: "sandbox_test.go/state"}, "", ErrStateFolder},
		"a folder that is a file":  {Config{Listen: "127.0.0.1:0", Dir: "sandbox_test.go"}, "", nil},
		"no runtime to run things": {Config{Listen: "none"}, "a sandbox needs a runtime", nil},
	} {
		t.Run(name, func(t *testing.T) {
			runtime := &closable{Runtime: scripted.New()}
			if name != "no runtime to run things" {
				test.cfg.Runtime = runtime
			}
			s, err := Start(t.Context(), test.cfg)
			if err == nil {
				s.Close()
			}
			if err == nil || test.want != "" && err.Error() != test.want || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("Start = %v\nwant %s", err, test.want)
			}
			if test.cfg.Runtime != nil && !runtime.closed {
				t.Error("the runtime was not closed")
			}
		})
	}
}

// closable notes that it was closed.
type closable struct {
	*scripted.Runtime
	closed bool
}

func (c *closable) Close(ctx context.Context) error {
	c.closed = true
	return c.Runtime.Close(ctx)
}

// TestServer_Close closes a sandbox in the middle of everything; goleak looks
// for what stays.
func TestServer_Close(t *testing.T) {
	w := start(t, Config{})
	w.fault(t, `{"when":"ListServices","hang":true}`)
	ctx := t.Context()
	if _, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("c")}); err != nil {
		t.Fatal(err)
	}
	serviceOf(t, w, "nginx", 2)
	var hanging sync.WaitGroup
	hanging.Go(func() {
		if _, err := w.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: aws.String("c")}); err == nil {
			t.Error("the hanging call got an answer")
		}
	})
	awaitCall(t, w, "ecs.ListServices")
	half, err := net.Dial("tcp", w.Registry()) // and a client that only connects
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if err := w.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	hanging.Wait()
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if running := w.runtime.Running(); len(running) != 0 {
		t.Errorf("tasks %v still run", running)
	}
	if _, err := net.Dial("tcp", w.Registry()); err == nil {
		t.Error("the port is still open")
	}
}

var _ task.Runtime = (*closable)(nil)
