package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/sandbox/throttle"
)

// crowd are many services of one cluster, each a fakeECS whose ids get the
// service's name in front. It refuses calls that AWS would refuse.
type crowd struct {
	mu       sync.Mutex
	began    time.Time
	services []*fakeECS
	calls    []time.Duration
	merged   map[string]int // most items of a call

	limits  *throttle.Limits // when they count, AWS's buckets
	refused []string         // calls that came too fast for them
}

func newCrowd(n int) *crowd {
	c := &crowd{began: time.Now(), merged: map[string]int{}}
	for range n {
		c.services = append(c.services, newFake())
	}
	return c
}

func serviceN(i int) string { return fmt.Sprintf("svc%03d", i) }

func (c *crowd) note(op string, items int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, time.Since(c.began))
	c.merged[op] = max(c.merged[op], items)
	if c.limits != nil && !c.limits.Allow("ecs", op) {
		c.refused = append(c.refused, op)
	}
}

// owner gives the service that an id or name belongs to.
func (c *crowd) owner(id string) (*fakeECS, string) {
	var i int
	if _, err := fmt.Sscanf(name(id), "svc%03d", &i); err != nil || i >= len(c.services) {
		panic("nobody's: " + id)
	}
	return c.services[i], serviceN(i)
}

func (c *crowd) ListTasks(ctx context.Context, in *ecs.ListTasksInput, _ ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
	c.note("ListTasks", 1)
	out := &ecs.ListTasksOutput{}
	for i, f := range c.services {
		if in.ServiceName != nil && *in.ServiceName != serviceN(i) {
			continue
		}
		one, err := f.ListTasks(ctx, &ecs.ListTasksInput{ServiceName: aws.String("backend"), DesiredStatus: in.DesiredStatus})
		if err != nil {
			return nil, err
		}
		for _, arn := range one.TaskArns {
			out.TaskArns = append(out.TaskArns, tasksARN+serviceN(i)+"-"+name(arn))
		}
	}
	from := 0
	fmt.Sscan(str(in.NextToken), &from)
	all := out.TaskArns
	out.TaskArns = all[from:min(len(all), from+100)]
	if from+100 < len(all) {
		out.NextToken = aws.String(fmt.Sprint(from + 100))
	}
	return out, nil
}

func (c *crowd) DescribeTasks(ctx context.Context, in *ecs.DescribeTasksInput, _ ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error) {
	c.note("DescribeTasks", len(in.Tasks))
	out := &ecs.DescribeTasksOutput{}
	for _, id := range in.Tasks {
		f, s := c.owner(id)
		one, err := f.DescribeTasks(ctx, &ecs.DescribeTasksInput{Tasks: []string{strings.TrimPrefix(name(id), s+"-")}})
		if err != nil {
			return nil, err
		}
		for _, t := range one.Tasks {
			t.TaskArn, t.StartedBy = aws.String(tasksARN+s+"-"+name(*t.TaskArn)), aws.String(s+"/"+*t.StartedBy)
			out.Tasks = append(out.Tasks, t)
		}
	}
	return out, nil
}

func (c *crowd) DescribeServices(ctx context.Context, in *ecs.DescribeServicesInput, _ ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error) {
	c.note("DescribeServices", len(in.Services))
	if len(in.Services) > 10 {
		return nil, apiError("InvalidParameterException")
	}
	out := &ecs.DescribeServicesOutput{}
	for _, n := range in.Services {
		f, s := c.owner(n)
		one, err := f.DescribeServices(ctx, &ecs.DescribeServicesInput{})
		if err != nil {
			return nil, err
		}
		v := one.Services[0]
		v.ServiceName = aws.String(s)
		for i := range v.Deployments {
			v.Deployments[i].Id = aws.String(s + "/" + *v.Deployments[i].Id)
		}
		out.Services = append(out.Services, v)
	}
	return out, nil
}

func (c *crowd) ListServiceDeployments(ctx context.Context, in *ecs.ListServiceDeploymentsInput, _ ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error) {
	c.note("ListServiceDeployments", 1)
	f, s := c.owner(*in.Service)
	out, err := f.ListServiceDeployments(ctx, in)
	if err != nil {
		return nil, err
	}
	for i := range out.ServiceDeployments {
		d := &out.ServiceDeployments[i]
		d.ServiceDeploymentArn, d.TargetServiceRevisionArn = aws.String("sd/"+s), aws.String("rev/"+s)
	}
	return out, nil
}

func (c *crowd) DescribeServiceDeployments(_ context.Context, in *ecs.DescribeServiceDeploymentsInput, _ ...func(*ecs.Options)) (*ecs.DescribeServiceDeploymentsOutput, error) {
	c.note("DescribeServiceDeployments", len(in.ServiceDeploymentArns))
	if len(in.ServiceDeploymentArns) > 20 {
		return nil, apiError("InvalidParameterException")
	}
	out := &ecs.DescribeServiceDeploymentsOutput{}
	for _, arn := range in.ServiceDeploymentArns {
		f, _ := c.owner(arn)
		d := *f.own
		d.ServiceDeploymentArn = aws.String(arn)
		out.ServiceDeployments = append(out.ServiceDeployments, d)
	}
	return out, nil
}

func (c *crowd) DescribeServiceRevisions(_ context.Context, in *ecs.DescribeServiceRevisionsInput, _ ...func(*ecs.Options)) (*ecs.DescribeServiceRevisionsOutput, error) {
	c.note("DescribeServiceRevisions", len(in.ServiceRevisionArns))
	if len(in.ServiceRevisionArns) > 20 {
		return nil, apiError("InvalidParameterException")
	}
	out := &ecs.DescribeServiceRevisionsOutput{}
	for _, arn := range in.ServiceRevisionArns {
		out.ServiceRevisions = append(out.ServiceRevisions, types.ServiceRevision{ServiceRevisionArn: aws.String(arn), TaskDefinition: aws.String(definition(38))})
	}
	return out, nil
}

// watchAll watches every service at once through one shared client.
func (c *crowd) watchAll(t *testing.T, p Policy) []watched {
	shared := &Shared{ECS: c}
	out := make([]watched, len(c.services))
	var all sync.WaitGroup
	for i, f := range c.services {
		all.Go(func() {
			o := &told{}
			w := shared.Watcher(Watcher{Emit: o.emit(c.began)})
			s := Subject{Cluster: "weelocluster", Service: serviceN(i), Deployment: serviceN(i) + "/ecs-svc/2", TaskDefinition: definition(38),
				CreatedAt: *f.deployment("ecs-svc/2").CreatedAt, Previous: definition(27)}
			v, err := w.Watch(t.Context(), s, p)
			out[i] = watched{v, err, o, time.Since(c.began)}
		})
	}
	all.Wait()
	return out
}

func TestShared_aHundredServices(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCrowd(100)
		const crash, crashes = 60 * time.Second, 42
		for i, f := range c.services {
			if i == crashes {
				f.at(crash, func() { f.crash("bad", 139) })
				continue
			}
			f.serve(time.Duration(40+i%30) * time.Second)
		}
		got := c.watchAll(t, Policy{Bake: time.Minute})
		for i, w := range got {
			if i == crashes {
				w.want(t, Failing, "EXIT_139_SIGSEGV")
				if late := w.took - crash; late > 4*time.Second {
					t.Errorf("the crash was found after %s", late)
				}
				continue
			}
			w.want(t, Serving, "")
			if notes := noted(w.told, ""); notes > 1 { // the bake's
				t.Errorf("%s: %+v", serviceN(i), of[event.Note](w.told))
			}
		}
		for i, at := range c.calls {
			n := 0
			for _, other := range c.calls[i:] {
				if other < at+time.Second {
					n++
				}
			}
			if n > 10 {
				t.Fatalf("%d calls in the second from %s, want at most 10", n, at)
			}
		}
		if c.merged["DescribeServices"] != 10 || c.merged["DescribeTasks"] < 10 {
			t.Errorf("most items of a call: %v, want calls that carry many", c.merged)
		}
		t.Logf("%d calls in %s; the most items of a call: %v", len(c.calls), slices.Max(c.calls), c.merged)
	})
}

// TestShared_twentyServicesStayInAWSsBuckets holds what twenty watchers of one client
// call, a long way into a deployment that does not end, against AWS's token buckets.
func TestShared_twentyServicesStayInAWSsBuckets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCrowd(20)
		c.limits = throttle.New("ap-south-1")
		for _, f := range c.services {
			f.serve(4 * time.Minute)
		}
		for _, w := range c.watchAll(t, Policy{Bake: time.Minute}) {
			w.want(t, Serving, "")
		}
		if len(c.refused) > 0 {
			t.Errorf("%d of %d calls came too fast: %v", len(c.refused), len(c.calls), c.refused)
		}
	})
}

// One answer serves all that asked, and one error as well; who gave up is not
// waited for.
func TestShared_answersEverybody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCrowd(3)
		s := &Shared{ECS: c, PerSecond: 1}
		c.services[1].fault = func(string, int, time.Duration) error { return apiError("ThrottlingException") }
		ask := func(ctx context.Context, n string) (string, error) {
			out, err := s.DescribeServices(ctx, &ecs.DescribeServicesInput{Services: []string{n}})
			if err != nil {
				return "", err
			}
			return *out.Services[0].ServiceName, nil
		}
		if got, err := ask(t.Context(), "svc000"); err != nil || got != "svc000" {
			t.Fatalf("ask() = %q, %v", got, err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := ask(gone, "svc002"); err == nil {
			t.Error("a question that was given up = nil error")
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if _, err := ask(t.Context(), "svc001"); faultOf(err) != throttling {
					t.Errorf("ask() = %v, want the throttling", err)
				}
			})
		}
		all.Wait()
		if len(c.calls) != 2 {
			t.Errorf("%d calls, want one for each moment", len(c.calls))
		}
	})
}

// A cluster in which very many tasks stop is not listed whole for a few services.
func TestShared_aBusyClusterIsNotListedWhole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCrowd(3)
		for i := range 900 {
			f := c.services[0]
			f.start(fmt.Sprint("gone", i), "ecs-svc/1", 27)
			f.exit(fmt.Sprint("gone", i), 0)
		}
		for _, f := range c.services {
			f.serve(time.Minute)
		}
		for _, w := range c.watchAll(t, Policy{}) {
			w.want(t, Serving, "")
		}
		if n := len(c.calls); n > 3*120+60 {
			t.Errorf("%d calls for three services in %s", n, slices.Max(c.calls))
		}
	})
}
