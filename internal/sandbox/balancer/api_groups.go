package balancer

import (
	"net/netip"
	"slices"
)

// checkInput are the members of a health check in requests.
type checkInput struct {
	HealthCheckProtocol, HealthCheckPort, HealthCheckPath *string
	HealthCheckEnabled                                    *bool
	HealthCheckIntervalSeconds, HealthCheckTimeoutSeconds *int
	HealthyThresholdCount, UnhealthyThresholdCount        *int
	Matcher                                               *matcherShape
}

// apply changes what the request names.
func (in checkInput) apply(c *HealthCheck) {
	overwrite(&c.Protocol, in.HealthCheckProtocol)
	overwrite(&c.Port, in.HealthCheckPort)
	overwrite(&c.Path, in.HealthCheckPath)
	overwrite(&c.Interval, in.HealthCheckIntervalSeconds)
	overwrite(&c.Timeout, in.HealthCheckTimeoutSeconds)
	overwrite(&c.Healthy, in.HealthyThresholdCount)
	overwrite(&c.Unhealthy, in.UnhealthyThresholdCount)
	if in.HealthCheckEnabled != nil {
		c.Disabled = !*in.HealthCheckEnabled
	}
	if in.Matcher != nil {
		c.Matcher = in.Matcher.HttpCode
	}
}

func overwrite[T any](p, v *T) {
	if v != nil {
		*p = *v
	}
}

type createGroupInput struct {
	Name, Protocol, ProtocolVersion, VpcId, TargetType, IpAddressType string
	Port                                                              int
	Tags                                                              []pair
	checkInput
}

type groupsOutput struct {
	TargetGroups []groupShape
	NextMarker   string `json:"NextMarker,omitzero"`
}

func (b *Balancer) apiCreateGroup(in *createGroupInput) (*groupsOutput, error) {
	g := TargetGroup{
		Name: in.Name, Protocol: in.Protocol, ProtocolVersion: in.ProtocolVersion, VPC: in.VpcId, TargetType: in.TargetType,
		IPAddressType: in.IpAddressType, Port: in.Port, Tags: mapOf(in.Tags),
	}
	in.apply(&g.Check)
	g, err := b.CreateTargetGroup(g)
	if err != nil {
		return nil, err
	}
	return b.apiDescribeGroups(&describeGroupsInput{TargetGroupArns: []string{g.ARN}})
}

type describeGroupsInput struct {
	LoadBalancerArn        string
	TargetGroupArns, Names []string
	page
}

func (b *Balancer) apiDescribeGroups(in *describeGroupsInput) (*groupsOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	missing := func(string) error { return refuse("TargetGroupNotFound", "One or more target groups not found") }
	list, err := named(b.groups, in.TargetGroupArns, in.Names, func(g *group, arn, name string) bool {
		return g.ARN == arn || g.Name == name
	}, missing)
	if err != nil {
		return nil, err
	}
	if in.LoadBalancerArn != "" {
		if b.balancerOf(in.LoadBalancerArn) == nil {
			return nil, errBalancer(in.LoadBalancerArn)
		}
		list = slices.DeleteFunc(slices.Clone(list), func(g *group) bool {
			return !slices.Contains(b.balancersOf(g.ARN), in.LoadBalancerArn)
		})
	}
	part, next, err := cut(list, in.page)
	out := &groupsOutput{TargetGroups: []groupShape{}, NextMarker: next}
	for _, g := range part {
		out.TargetGroups = append(out.TargetGroups, b.groupShape(g))
	}
	return out, err
}

type groupInput struct {
	TargetGroupArn string
	Attributes     []pair
	Targets        []targetShape
}

type modifyGroupInput struct {
	TargetGroupArn string
	checkInput
}

func (b *Balancer) apiModifyGroup(in *modifyGroupInput) (*groupsOutput, error) {
	if err := b.modifyGroup(in); err != nil {
		return nil, err
	}
	return b.apiDescribeGroups(&describeGroupsInput{TargetGroupArns: []string{in.TargetGroupArn}})
}

func (b *Balancer) modifyGroup(in *modifyGroupInput) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.group(in.TargetGroupArn)
	if g == nil {
		return errGroup(in.TargetGroupArn)
	}
	c := g.Check
	in.apply(&c)
	if err := c.check(g.Protocol); err != nil {
		return err
	}
	toggled := c.Disabled != g.Check.Disabled
	g.Check = c
	for _, t := range g.targets {
		if toggled && t.state != Draining {
			b.begin(g, t)
		}
		t.poke()
	}
	b.changed(g.ARN)
	return nil
}

// apiDeleteGroup deletes a target group that no listener or rule uses. One that is
// not there is no mistake.
func (b *Balancer) apiDeleteGroup(in *groupInput) (*none, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.group(in.TargetGroupArn)
	switch {
	case g == nil:
		return &none{}, nil
	case len(b.balancersOf(g.ARN)) > 0:
		return nil, refuse("ResourceInUse", "Target group '%s' is currently in use by a listener or a rule", g.ARN)
	}
	for _, t := range g.targets {
		t.release()
	}
	g.targets = nil
	b.groups = slices.DeleteFunc(b.groups, func(o *group) bool { return o == g })
	b.changed(g.ARN)
	return &none{}, nil
}

func (b *Balancer) apiGroupAttributes(in *groupInput) (*attributesOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.group(in.TargetGroupArn)
	if g == nil {
		return nil, errGroup(in.TargetGroupArn)
	}
	return &attributesOutput{pairs(g.Attributes)}, nil
}

func (b *Balancer) apiModifyGroupAttributes(in *groupInput) (*attributesOutput, error) {
	if err := b.SetAttributes(in.TargetGroupArn, mapOf(in.Attributes)); err != nil {
		return nil, err
	}
	return b.apiGroupAttributes(in)
}

// targets reads the targets of a request.
func (b *Balancer) targets(in *groupInput) ([]Target, error) {
	b.mu.Lock()
	g := b.group(in.TargetGroupArn)
	b.mu.Unlock()
	switch {
	case g == nil:
		return nil, errGroup(in.TargetGroupArn)
	case len(in.Targets) == 0:
		return nil, invalid("At least one target must be specified")
	}
	var list []Target
	for _, t := range in.Targets {
		ip, err := netip.ParseAddr(t.Id)
		if g.TargetType == "ip" && err != nil {
			return nil, invalid("The IP address '%s' is not a valid IPv4 address", t.Id)
		}
		if b.cfg.TasksOnly && err == nil && ip.IsLoopback() {
			return nil, invalid("The IP address '%s' is of this machine, whose programs are not for other machines to reach", t.Id)
		}
		list = append(list, Target{ID: t.Id, Port: t.Port})
	}
	return list, nil
}

func (b *Balancer) apiRegister(in *groupInput) (*none, error) {
	targets, err := b.targets(in)
	if err != nil {
		return nil, err
	}
	return &none{}, b.Register(in.TargetGroupArn, targets...)
}

func (b *Balancer) apiDeregister(in *groupInput) (*none, error) {
	targets, err := b.targets(in)
	if err != nil {
		return nil, err
	}
	return &none{}, b.Deregister(in.TargetGroupArn, targets...)
}

type healthOutput struct{ TargetHealthDescriptions []healthShape }

func (b *Balancer) apiHealth(in *groupInput) (*healthOutput, error) {
	var list []TargetHealth
	var err error
	if len(in.Targets) == 0 {
		list, err = b.Targets(in.TargetGroupArn)
	}
	for _, t := range in.Targets {
		h, failed := b.Target(in.TargetGroupArn, t.Id, t.Port)
		if list = append(list, h); failed != nil {
			return nil, failed
		}
	}
	out := &healthOutput{TargetHealthDescriptions: []healthShape{}}
	for _, h := range list {
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, healthShape{
			Target: targetShape{Id: h.ID, Port: h.Port}, HealthCheckPort: h.CheckPort,
			TargetHealth: targetHealthShape{h.State, h.Reason, h.Description},
		})
	}
	return out, err
}
