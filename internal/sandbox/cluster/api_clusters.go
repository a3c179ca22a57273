package cluster

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

var nameForm = form.New(`^[A-Za-z0-9_-]{1,255}$`)

func (c *Cluster) createCluster(_ context.Context, in *ecs.CreateClusterInput) (*ecs.CreateClusterOutput, error) {
	name := deref(in.ClusterName)
	if name == "" {
		name = "default"
	}
	if !nameForm.MatchString(name) {
		return nil, invalid("Identifier contains invalid characters or it exceeds 255 characters.")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	cl := c.clusters[name]
	if cl == nil {
		cl = c.addCluster(name, in.Tags)
		cl.settings = in.Settings
	}
	return &ecs.CreateClusterOutput{Cluster: ptr(cl.view(true))}, nil
}

func (c *Cluster) addCluster(name string, tags []types.Tag) *clusterRecord {
	cl := &clusterRecord{
		name: name, arn: c.arns.cluster(name), tags: tags,
		services: make(map[string]*service), loose: make(map[string]*looseTask),
	}
	c.clusters[name] = cl
	return cl
}

func (cl *clusterRecord) view(tags bool) types.Cluster {
	v := types.Cluster{
		ClusterArn: &cl.arn, ClusterName: &cl.name, Status: ptr("ACTIVE"),
		Settings: cl.settings, Statistics: []types.KeyValuePair{},
		CapacityProviders: []string{}, DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{},
	}
	if tags {
		v.Tags = cl.tags
	}
	for _, s := range cl.services {
		if s.status == "ACTIVE" {
			v.ActiveServicesCount++
		}
	}
	for _, t := range cl.allTasks() {
		switch {
		case t.sched.Status.String() == "RUNNING":
			v.RunningTasksCount++
		case t.sched.Live():
			v.PendingTasksCount++
		}
	}
	return v
}

func (c *Cluster) describeClusters(_ context.Context, in *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
	refs := in.Clusters
	if len(refs) == 0 {
		refs = []string{"default"}
	}
	if len(refs) > 100 {
		return nil, invalid("Clusters cannot have more than 100 elements.")
	}
	out := &ecs.DescribeClustersOutput{Clusters: []types.Cluster{}, Failures: []types.Failure{}}
	for _, ref := range refs {
		cl, err := c.cluster(ref)
		if err != nil {
			out.Failures = append(out.Failures, missing(c.arns.cluster(c.arns.clusterName(ref))))
			continue
		}
		out.Clusters = append(out.Clusters, cl.view(slices.Contains(in.Include, types.ClusterFieldTags)))
	}
	return out, nil
}

func (c *Cluster) listClusters(_ context.Context, in *ecs.ListClustersInput) (*ecs.ListClustersOutput, error) {
	arns := []string{}
	for _, name := range slices.Sorted(maps.Keys(c.clusters)) {
		arns = append(arns, c.clusters[name].arn)
	}
	list, next, err := page(arns, itself, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	return &ecs.ListClustersOutput{ClusterArns: list, NextToken: next}, nil
}

// deleteCluster deletes a cluster that has neither services nor tasks any more.
// AWS may show it as INACTIVE for a while; here it is gone.
func (c *Cluster) deleteCluster(_ context.Context, in *ecs.DeleteClusterInput) (*ecs.DeleteClusterOutput, error) {
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	for _, s := range cl.services {
		if s.status != "INACTIVE" {
			return nil, &types.ClusterContainsServicesException{Message: ptr("The Cluster cannot be deleted while Services are active.")}
		}
	}
	for _, t := range cl.allTasks() {
		if t.sched.Status != scheduler.Stopped {
			return nil, &types.ClusterContainsTasksException{Message: ptr("The Cluster cannot be deleted while Tasks are active.")}
		}
	}
	delete(c.clusters, cl.name)
	v := cl.view(true)
	v.Status = ptr("INACTIVE")
	return &ecs.DeleteClusterOutput{Cluster: &v}, nil
}
