package cluster

import (
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// clusterRecord is one ECS cluster.
type clusterRecord struct {
	name     string
	arn      string
	tags     []types.Tag
	settings []types.ClusterSetting
	services map[string]*service

	loose      map[string]*looseTask // run by RunTask, by id
	nextLoose  time.Time
	dirtyLoose bool
}

// service is one service.
type service struct {
	cluster *clusterRecord
	arns    arns
	name    string
	arn     string
	status  string // ACTIVE, DRAINING or INACTIVE
	created time.Time
	tags    []types.Tag

	// settings are what CreateService and UpdateService said about the
	// service itself; what a service revision holds is in revisions.
	settings ecs.CreateServiceInput

	sched       *scheduler.Service        // nil: another controller than ECS
	revisions   map[string]*revision      // by ARN
	byDeploy    map[string]*revision      // by deployment id
	deployments map[string]*deploymentRef // service deployments, by ARN

	// handed are the weights that were last handed on, by rule.
	handed map[string]map[string]int

	// balanced says that its tasks are registered in its target groups.
	balanced bool

	dirty bool
	next  time.Time // when to step without a fact
}

// revision is a service revision: what a deployment brings the service to.
type revision struct {
	arn     string
	created time.Time
	def     *definition.Definition
	// input holds the settings that belong to the revision: launch type,
	// network, load balancers and so on.
	input ecs.CreateServiceInput
	// digests are those of the images that have been resolved, by container.
	digests map[string]string
	// groups are the target groups that its tasks are in, by load balancer.
	groups []string
}

// deploymentRef finds a service deployment by its ARN.
type deploymentRef struct {
	service *service
	sd      *scheduler.ServiceDeployment
}

// owner is what a task belongs to and is made from.
type owner struct {
	cluster  *clusterRecord
	service  *service // nil for a task by itself
	revision *revision
	def      *definition.Definition
	loose    *looseTask
}

// touch tells that something happened to a task of the owner.
func (o *owner) touch() {
	if o.service != nil {
		o.service.dirty = true
		return
	}
	o.cluster.dirtyLoose = true
}

func (s *service) ownerOf(t *scheduler.Task) *owner {
	r := s.byDeploy[t.Deployment]
	return &owner{cluster: s.cluster, service: s, revision: r, def: r.def}
}

// current is the revision that the service is to run.
func (s *service) current() *revision {
	if s.sched != nil {
		if p := s.sched.Primary(); p != nil {
			return s.revisions[p.Revision]
		}
	}
	var last *revision
	for _, r := range s.revisions {
		if last == nil || r.created.After(last.created) {
			last = r
		}
	}
	return last
}

// settle ends the deletion of a service once its tasks have stopped.
func (s *service) settle() {
	if s.status != "DRAINING" {
		return
	}
	for _, t := range s.sched.Tasks {
		if t.Status != scheduler.Stopped {
			return
		}
	}
	s.status = "INACTIVE"
	s.sched.Deployments = nil
}

func (c *Cluster) cluster(ref string) (*clusterRecord, error) {
	if cl := c.clusters[c.arns.clusterName(ref)]; cl != nil {
		return cl, nil
	}
	return nil, clusterNotFound()
}

// service finds a service by the cluster's and its own name or ARN. A service
// ARN in its long form names the cluster as well, but the request's must agree.
func (c *Cluster) service(clusterRef, ref string) (*service, error) {
	cl, err := c.cluster(clusterRef)
	if err != nil {
		return nil, err
	}
	if s := cl.services[c.arns.nameIn("service", cl.name, ref)]; s != nil {
		return s, nil
	}
	return nil, serviceNotFound()
}

// sortedServices lists a cluster's services by name.
func (cl *clusterRecord) sortedServices() []*service {
	var list []*service
	for _, name := range slices.Sorted(maps.Keys(cl.services)) {
		list = append(list, cl.services[name])
	}
	return list
}
