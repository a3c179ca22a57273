package cluster

import (
	"context"
	"encoding/json"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// targetPrefix is what ECS clients send in X-Amz-Target.
const targetPrefix = "AmazonEC2ContainerServiceV20141113"

// operations are the operations of the ECS API that are here.
func (c *Cluster) operations() *awsjson.Service {
	s := awsjson.NewService(targetPrefix)
	handle(c, s, "CreateCluster", c.createCluster)
	handle(c, s, "DescribeClusters", c.describeClusters)
	handle(c, s, "ListClusters", c.listClusters)
	handle(c, s, "DeleteCluster", c.deleteCluster)

	handle(c, s, "RegisterTaskDefinition", c.registerTaskDefinition)
	handle(c, s, "DescribeTaskDefinition", c.describeTaskDefinition)
	handle(c, s, "ListTaskDefinitions", c.listTaskDefinitions)
	handle(c, s, "ListTaskDefinitionFamilies", c.listTaskDefinitionFamilies)
	handle(c, s, "DeregisterTaskDefinition", c.deregisterTaskDefinition)

	handle(c, s, "CreateService", c.createService)
	handle(c, s, "UpdateService", c.updateService)
	handle(c, s, "DeleteService", c.deleteService)
	handle(c, s, "DescribeServices", c.describeServices)
	handle(c, s, "ListServices", c.listServices)

	handle(c, s, "ListTasks", c.listTasks)
	handle(c, s, "DescribeTasks", c.describeTasks)
	handle(c, s, "StopTask", c.stopTask)
	handle(c, s, "RunTask", c.runTask)
	handle(c, s, "StartTask", c.startTask)
	handle(c, s, "ExecuteCommand", c.executeCommand)

	handle(c, s, "ListServiceDeployments", c.listServiceDeployments)
	handle(c, s, "DescribeServiceDeployments", c.describeServiceDeployments)
	handle(c, s, "DescribeServiceRevisions", c.describeServiceRevisions)
	handle(c, s, "StopServiceDeployment", c.stopServiceDeployment)
	handle(c, s, "ContinueServiceDeployment", c.continueServiceDeployment)

	handle(c, s, "TagResource", c.tagResource)
	handle(c, s, "UntagResource", c.untagResource)
	handle(c, s, "ListTagsForResource", c.listTagsForResource)
	return s
}

// handle registers an operation that runs under the lock. Its answer is
// encoded under the lock too, as it points into the state. What it changed is
// picked up by the loop.
func handle[I, O any](c *Cluster, s *awsjson.Service, name string, f func(context.Context, *I) (*O, error)) {
	awsjson.Handle(s, name, func(ctx context.Context, in *I) (*json.RawMessage, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		defer c.notify()
		out, err := f(ctx, in)
		if err != nil {
			return nil, err
		}
		b, err := awsjson.Marshal(out)
		return (*json.RawMessage)(&b), err
	})
}
