package believed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

const (
	clients = 20
	rounds  = 15
)

// crowd is what all clients together have seen.
type crowd struct {
	*world
	mu          sync.Mutex
	revisions   []string
	deployments []string // ids of the deployments that UpdateService began
	tasks       []string // of RunTask
}

func (c *crowd) note(list *[]string, v string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*list = append(*list, v)
}

// TestManyClientsAtOnce has twenty clients do everything to one service at the same
// time, and holds what each saw and what is left against each other.
func TestManyClientsAtOnce(t *testing.T) {
	c := &crowd{world: start(t)}
	c.serving(t, "nginx", 2)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { c.client(t, rand.New(rand.NewPCG(uint64(i), 6))) })
	}
	all.Wait()
	if t.Failed() {
		return
	}
	c.unique(t)
	c.nothingLost(t)
	c.update(t, ecs.UpdateServiceInput{DesiredCount: new(int32(2))})
	c.completed(t)
	if err := c.stable(t, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if s := c.web(t); s.RunningCount != 2 || s.Deployments[0].RunningCount != 2 {
		t.Errorf("%d tasks run in the end, want 2", s.RunningCount)
	}
}

// client does random calls.
func (c *crowd) client(t *testing.T, random *rand.Rand) {
	calls := []func(context.Context, *rand.Rand) error{c.registers, c.deploys, c.scales, c.runs, c.stops, c.looks, c.leafs}
	for range rounds {
		if err := calls[random.IntN(len(calls))](t.Context(), random); err != nil {
			t.Error(err)
			return
		}
	}
}

func (c *crowd) registers(ctx context.Context, _ *rand.Rand) error {
	out, err := c.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: new("web"), NetworkMode: types.NetworkModeAwsvpc, Cpu: new("256"), Memory: new("512"),
		ContainerDefinitions: []types.ContainerDefinition{{Name: new("app"), Image: new("nginx")}},
	})
	if err == nil {
		c.note(&c.revisions, *out.TaskDefinition.TaskDefinitionArn)
	}
	return err
}

func (c *crowd) deploys(ctx context.Context, _ *rand.Rand) error {
	out, err := c.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: new("c"), Service: new("web"), ForceNewDeployment: true})
	if err == nil {
		c.note(&c.deployments, *out.Service.CurrentServiceDeployment)
	}
	return err
}

func (c *crowd) scales(ctx context.Context, random *rand.Rand) error {
	want := int32(1 + random.IntN(4))
	out, err := c.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: new("c"), Service: new("web"), DesiredCount: &want})
	if err == nil && out.Service.DesiredCount != want {
		return fmt.Errorf("UpdateService(%d) answers %d", want, out.Service.DesiredCount)
	}
	return err
}

func (c *crowd) runs(ctx context.Context, _ *rand.Rand) error {
	out, err := c.ecs.RunTask(ctx, runTask())
	if err == nil {
		c.note(&c.tasks, *out.Tasks[0].TaskArn)
	}
	return err
}

// stops stops a task; another client may have been faster.
func (c *crowd) stops(ctx context.Context, random *rand.Rand) error {
	list, err := c.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: new("c")})
	if err != nil || len(list.TaskArns) == 0 {
		return err
	}
	_, err = c.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: new("c"), Task: &list.TaskArns[random.IntN(len(list.TaskArns))]})
	return err
}

// looks holds the parts of one answer against each other.
func (c *crowd) looks(ctx context.Context, _ *rand.Rand) error {
	out, err := c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: new("c"), Services: []string{"web"}})
	if err != nil {
		return err
	}
	s := out.Services[0]
	running, pending, primary := int32(0), int32(0), 0
	for _, d := range s.Deployments {
		running, pending = running+d.RunningCount, pending+d.PendingCount
		if *d.Status == "PRIMARY" {
			primary++
		}
	}
	if running != s.RunningCount || pending != s.PendingCount || primary != 1 || *s.Deployments[0].Status != "PRIMARY" || *s.Deployments[0].TaskDefinition != *s.TaskDefinition {
		return fmt.Errorf("%d tasks run and %d are pending, of %d primary deployments: %+v", s.RunningCount, s.PendingCount, primary, s.Deployments)
	}
	return nil
}

// leafs reads all pages, and no item twice.
func (c *crowd) leafs(ctx context.Context, _ *rand.Rand) error {
	seen := make(map[string]bool)
	for p := ecs.NewListTaskDefinitionsPaginator(c.ecs, &ecs.ListTaskDefinitionsInput{MaxResults: new(int32(3))}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, arn := range page.TaskDefinitionArns {
			if seen[arn] {
				return errors.New(arn + " is in two pages")
			}
			seen[arn] = true
		}
	}
	for p := ecs.NewListTasksPaginator(c.ecs, &ecs.ListTasksInput{Cluster: new("c"), MaxResults: new(int32(2))}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		var refused smithy.APIError
		if errors.As(err, &refused) && strings.Contains(refused.ErrorMessage(), "token") {
			return nil
		}
		if err != nil {
			return err
		}
		for _, arn := range page.TaskArns {
			if seen[arn] {
				return errors.New(arn + " is in two pages")
			}
			seen[arn] = true
		}
	}
	return nil
}

// unique finds nothing that two calls were given.
func (c *crowd) unique(t *testing.T) {
	t.Helper()
	for _, list := range [][]string{c.revisions, c.deployments, c.tasks} {
		seen := make(map[string]bool)
		for _, v := range list {
			if seen[v] {
				t.Errorf("%s was given twice", v)
			}
			seen[v] = true
		}
		if len(list) == 0 {
			t.Error("a kind of call was never made")
		}
	}
	if last := c.define(t, "nginx"); last != fmt.Sprintf("%stask-definition/web:%d", arnOf, len(c.revisions)+2) {
		t.Errorf("after %d registrations the next is %s", len(c.revisions)+1, last)
	}
}

// nothingLost finds every deployment that was begun among the service deployments,
// each of which but the last two has ended.
func (c *crowd) nothingLost(t *testing.T) {
	t.Helper()
	known := make(map[string]types.ServiceDeploymentStatus)
	for _, page := range c.history(t) {
		for _, b := range page {
			known[*b.ServiceDeploymentArn] = b.Status
		}
	}
	if len(known) != len(c.deployments)+1 {
		t.Errorf("%d service deployments are known, want %d", len(known), len(c.deployments)+1)
	}
	for _, arn := range c.deployments {
		if known[arn] == "" {
			t.Errorf("%s is lost", arn)
		}
	}
}
