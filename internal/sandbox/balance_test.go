package sandbox

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// balanced is a sandbox with a load balancer, a target group and images whose
// programs answer with their tags.
type balanced struct {
	*world
	*testing.T
	lb       balancer.LoadBalancer
	listener balancer.Listener
	group    balancer.TargetGroup
}

const balancedSeed = `
clusters: [{name: c}]
repositories:
- name: web
  images:
  - {builtin: {program: serve, body: "1"}, tags: ["1"]}
  - {builtin: {program: serve, body: "2"}, tags: ["2"]}
  - {builtin: {program: serve, body: "bad"}, tags: ["bad"]}
`

func startBalanced(t *testing.T) *balanced {
	t.Helper()
	from, err := seed.Parse("s", []byte(balancedSeed))
	if err != nil {
		t.Fatal(err)
	}
	b := &balanced{world: start(t, Config{Seed: from}), T: t}
	b.lb = ok(t)(b.Balancer().CreateLoadBalancer(balancer.LoadBalancer{Name: "web"})).(balancer.LoadBalancer)
	b.group = ok(t)(b.Balancer().CreateTargetGroup(balancer.TargetGroup{Name: "web", Protocol: "HTTP", Port: 80, TargetType: "ip"})).(balancer.TargetGroup)
	b.listener = ok(t)(b.Balancer().CreateListener(balancer.Listener{
		LoadBalancer: b.lb.ARN, Protocol: "HTTP", Port: 80, Default: []balancer.Action{{Type: balancer.Forward, Groups: []balancer.Weighted{{Group: b.group.ARN, Weight: 1}}}},
	})).(balancer.Listener)
	return b
}

// ok unwraps what cannot fail here.
func ok(t *testing.T) func(any, error) any {
	return func(v any, err error) any {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (b *balanced) image(tag string) string { return b.Registry() + "/web:" + tag }

// revision registers a definition whose container has a port.
func (b *balanced) revision(tag string, mode types.NetworkMode) string {
	b.Helper()
	out, err := b.ecs.RegisterTaskDefinition(b.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: mode, Cpu: aws.String("256"), Memory: aws.String("512"),
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String(b.image(tag)), PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(8080)}},
		}},
	})
	if err != nil {
		b.Fatal(err)
	}
	status := http.StatusOK
	if tag == "bad" {
		status = http.StatusInternalServerError
	}
	arn := *out.TaskDefinition.TaskDefinitionArn
	b.runtime.Set(arn[strings.LastIndexByte(arn, '/')+1:], scripted.Script{Serve: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, tag)
	})})
	return arn
}

func (b *balanced) create(tag string, mode types.NetworkMode, group string) error {
	b.Helper()
	in := &ecs.CreateServiceInput{
		Cluster: aws.String("c"), ServiceName: aws.String("web"), TaskDefinition: aws.String(b.revision(tag, mode)), DesiredCount: aws.Int32(2),
		LoadBalancers: []types.LoadBalancer{{TargetGroupArn: &group, ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}},
		DeploymentConfiguration: &types.DeploymentConfiguration{
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		},
	}
	if mode == types.NetworkModeAwsvpc {
		in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}}
	}
	_, err := b.ecs.CreateService(b.Context(), in)
	return err
}

func (b *balanced) service() types.Service {
	b.Helper()
	out, err := b.ecs.DescribeServices(b.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"web"}})
	if err != nil {
		b.Fatal(err)
	}
	return out.Services[0]
}

func (b *balanced) steady() bool {
	s := b.service()
	return len(s.Deployments) == 1 && s.Deployments[0].RolloutState == types.DeploymentRolloutStateCompleted
}

func (b *balanced) update(tag string) {
	b.Helper()
	_, err := b.ecs.UpdateService(b.Context(), &ecs.UpdateServiceInput{
		Cluster: aws.String("c"), Service: aws.String("web"), TaskDefinition: aws.String(b.revision(tag, types.NetworkModeAwsvpc)),
	})
	if err != nil {
		b.Fatal(err)
	}
}

// url is where the listener is reached.
func (b *balanced) url() string { return "http://" + b.Balancer().Status()[0].Listeners[0].Address }

// texts are the service's events, oldest first.
func (b *balanced) texts() []string {
	b.Helper()
	var list []string
	for _, e := range b.service().Events {
		list = append(list, *e.Message)
	}
	slices.Reverse(list)
	return list
}

// load asks again and again until stop is closed, and counts.
func load(t *testing.T, url string, stop <-chan struct{}) (wait func() (requests, failed int64)) {
	var requests, failures atomic.Int64
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{}}
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := client.Get(url)
				requests.Add(1)
				if err != nil {
					failures.Add(1)
					continue
				}
				if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
					failures.Add(1)
				}
				resp.Body.Close()
			}
		})
	}
	return func() (int64, int64) {
		all.Wait()
		client.CloseIdleConnections()
		return requests.Load(), failures.Load()
	}
}

func TestATaskIsReplacedBehindALoadBalancerWithoutALostRequest(t *testing.T) {
	b := startBalanced(t)
	if err := b.create("1", types.NetworkModeAwsvpc, b.group.ARN); err != nil {
		t.Fatal(err)
	}
	await(t, "the service", b.steady)
	from := len(b.texts())
	stop := make(chan struct{})
	wait := load(t, b.url(), stop)
	b.update("2")
	await(t, "the deployment", b.steady)
	close(stop)
	requests, failed := wait()
	if failed > 0 || requests == 0 {
		t.Errorf("%d of %d requests failed", failed, requests)
	}
	total, counted := 0, 0
	for _, c := range b.Balancer().Traffic().Totals {
		total += c.Requests
		counted += c.Failed
	}
	if int64(total) != requests || counted != 0 {
		t.Errorf("the load balancer counted %d requests, %d of them failed; %d were made", total, counted, requests)
	}
	events := strings.Join(b.texts()[from:], "\n")
	for _, want := range []string{
		"(service web) registered ", " targets in (target-group " + b.group.ARN + ")\n", "(service web) deregistered ",
		"has begun draining connections on ", "deployment completed.",
	} {
		if !strings.Contains(events, want) {
			t.Errorf("no event says %q:\n%s", want, events)
		}
	}
	health, err := elb.NewFromConfig(b.config).DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &b.group.ARN})
	if err != nil {
		t.Fatal(err)
	}
	healthy := 0
	for _, h := range health.TargetHealthDescriptions {
		if h.TargetHealth.State == "healthy" && strings.HasPrefix(*h.Target.Id, "10.0.") && *h.Target.Port == 8080 {
			healthy++
		}
	}
	if healthy != 2 {
		t.Errorf("%d targets are healthy, want 2: %+v", healthy, health.TargetHealthDescriptions)
	}
}

func TestADeploymentThatFailsItsLoadBalancerGoesBackWithoutALostRequest(t *testing.T) {
	b := startBalanced(t)
	if err := b.create("1", types.NetworkModeAwsvpc, b.group.ARN); err != nil {
		t.Fatal(err)
	}
	await(t, "the service", b.steady)
	stop := make(chan struct{})
	wait := load(t, b.url(), stop)
	b.update("bad")
	await(t, "the rollback", func() bool {
		s := b.service()
		return b.steady() && strings.HasSuffix(*s.TaskDefinition, "web:1") && len(s.Deployments) == 1 && strings.Contains(strings.Join(b.texts(), "\n"), "rolling back to deployment")
	})
	close(stop)
	if requests, failed := wait(); failed > 0 || requests == 0 {
		t.Errorf("%d of %d requests failed", failed, requests)
	}
	out, err := b.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("c"), DesiredStatus: types.DesiredStatusStopped})
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := b.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("c"), Tasks: out.TaskArns})
	if err != nil {
		t.Fatal(err)
	}
	reason := "Task failed ELB health checks in (target-group " + b.group.ARN + ")"
	if !slices.ContainsFunc(tasks.Tasks, func(t types.Task) bool {
		return aws.ToString(t.StoppedReason) == reason && t.StopCode == types.TaskStopCodeServiceSchedulerInitiated
	}) {
		t.Errorf("no task was stopped for %q", reason)
	}
	events := strings.Join(b.texts(), "\n")
	if want := "(port 8080) is unhealthy in (target-group " + b.group.ARN + ") due to (reason Health checks failed with these codes: [500])"; !strings.Contains(events, want) {
		t.Errorf("no event says %q:\n%s", want, events)
	}
}

func TestServicesWantATargetGroupThatFits(t *testing.T) {
	b := startBalanced(t)
	instance := ok(t)(b.Balancer().CreateTargetGroup(balancer.TargetGroup{Name: "instance", Protocol: "HTTP", Port: 80})).(balancer.TargetGroup)
	lonely := ok(t)(b.Balancer().CreateTargetGroup(balancer.TargetGroup{Name: "lonely", Protocol: "HTTP", Port: 80, TargetType: "ip"})).(balancer.TargetGroup)
	if err := b.Balancer().SetWeights(b.listener.ARN, map[string]int{b.group.ARN: 1, instance.ARN: 0}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode  types.NetworkMode
		group string
		want  string
	}{
		{types.NetworkModeAwsvpc, b.group.ARN + "0", "does not exist."},
		{types.NetworkModeAwsvpc, lonely.ARN, "The target group with targetGroupArn " + lonely.ARN + " does not have an associated load balancer."},
		{types.NetworkModeAwsvpc, instance.ARN, "has target type instance, which is incompatible with the awsvpc network mode specified in the task definition."},
		{types.NetworkModeBridge, b.group.ARN, "has target type ip, which is incompatible with the bridge network mode specified in the task definition."},
	} {
		err := b.create("1", c.mode, c.group)
		if wantCode(t, err, "InvalidParameterException"); err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("the error is %v, want %q", err, c.want)
		}
	}
	if err := b.create("1", types.NetworkModeBridge, instance.ARN); err != nil {
		t.Fatal(err)
	}
	await(t, "the service on an instance", b.steady)
	targets := ok(t)(b.Balancer().Targets(instance.ARN)).([]balancer.TargetHealth)
	if len(targets) != 2 || targets[0].ID != targets[1].ID || targets[0].Port == targets[1].Port {
		t.Errorf("targets on one instance are %+v", targets)
	}
}

func TestTheSandboxAnswersToTheNameOfALoadBalancer(t *testing.T) {
	b := startBalanced(t)
	if err := b.create("1", types.NetworkModeAwsvpc, b.group.ARN); err != nil {
		t.Fatal(err)
	}
	await(t, "the service", b.steady)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = b.lb.DNSName
	resp, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "1" {
		t.Errorf("by its name the load balancer answers %q, %v", body, err)
	}
	var status struct{ LoadBalancers []balancer.Status }
	b.control(t, http.MethodGet, "/_sandbox/status", "", &status)
	if len(status.LoadBalancers) != 1 || status.LoadBalancers[0].DNSName != b.lb.DNSName || !strings.HasPrefix(status.LoadBalancers[0].Listeners[0].Address, "127.0.0.1:") {
		t.Errorf("status says %+v", status.LoadBalancers)
	}
	var traffic balancer.Traffic
	b.control(t, http.MethodGet, "/_sandbox/traffic", "", &traffic)
	if len(traffic.Totals) != 1 || traffic.Totals[0].Requests != 1 || traffic.Totals[0].Class[2] != 1 || traffic.Totals[0].Group != b.group.ARN {
		t.Errorf("traffic is %+v", traffic)
	}
	b.fault(t, `{"deny":"elasticloadbalancing:DescribeTargetHealth"}`)
	_, err = elb.NewFromConfig(b.config).DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &b.group.ARN})
	wantCode(t, err, "AccessDenied")
	awaitCall(t, b.world, "elasticloadbalancing.DescribeTargetHealth")
}

func TestTheExampleWithALoadBalancerServesAndGoesBack(t *testing.T) {
	from, err := seed.Load("../../examples/balanced/seed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	runtime := scripted.New()
	for revision, h := range map[string]http.Handler{
		"shop:1": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "version 1\n") }),
		"shop:3": http.NotFoundHandler(),
	} {
		runtime.Set(revision, scripted.Script{Serve: h})
	}
	b := &balanced{world: start(t, Config{Seed: from, Runtime: runtime}), T: t}
	resp, err := b.http.Get(b.url())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "version 1\n" {
		t.Errorf("the load balancer answers %q", body)
	}
	_, err = b.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("shop"), Service: aws.String("web"), TaskDefinition: aws.String("shop:3")})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the way back", func() bool {
		s := b.world.service(t, "shop", "web")
		return len(s.Deployments) == 1 && strings.HasSuffix(*s.TaskDefinition, "shop:1") && s.Deployments[0].RolloutState == types.DeploymentRolloutStateCompleted
	})
}
