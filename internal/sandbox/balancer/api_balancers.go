package balancer

import (
	"slices"
)

type createBalancerInput struct {
	Name, Scheme, Type, IpAddressType string
	Subnets                           []string
	SubnetMappings                    []struct{ SubnetId string }
	SecurityGroups                    []string
	Tags                              []pair
}

type balancersOutput struct {
	LoadBalancers []balancerShape
	NextMarker    string `json:"NextMarker,omitzero"`
}

// sandboxVPC is where everything is.
const sandboxVPC = "vpc-00000000000000000"

func (b *Balancer) apiCreateBalancer(in *createBalancerInput) (*balancersOutput, error) {
	for _, m := range in.SubnetMappings {
		in.Subnets = append(in.Subnets, m.SubnetId)
	}
	switch {
	case len(in.Subnets) == 0, in.Type != Network && len(in.Subnets) < 2:
		return nil, invalid("At least two subnets in two different Availability Zones must be specified")
	}
	lb, err := b.CreateLoadBalancer(LoadBalancer{
		Name: in.Name, Type: in.Type, Scheme: in.Scheme, IPAddressType: in.IpAddressType, VPC: sandboxVPC,
		Subnets: in.Subnets, SecurityGroups: in.SecurityGroups, Tags: mapOf(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &balancersOutput{LoadBalancers: []balancerShape{(&balancer{LoadBalancer: lb}).shape(b.cfg.Region)}}, nil
}

type describeBalancersInput struct {
	LoadBalancerArns, Names []string
	page
}

func (b *Balancer) apiDescribeBalancers(in *describeBalancersInput) (*balancersOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, err := named(b.balancers, in.LoadBalancerArns, in.Names, func(lb *balancer, arn, name string) bool {
		return lb.ARN == arn || lb.Name == name
	}, errBalancer)
	if err != nil {
		return nil, err
	}
	part, next, err := cut(list, in.page)
	out := &balancersOutput{LoadBalancers: []balancerShape{}, NextMarker: next}
	for _, lb := range part {
		out.LoadBalancers = append(out.LoadBalancers, lb.shape(b.cfg.Region))
	}
	return out, err
}

type balancerInput struct {
	LoadBalancerArn string
	Attributes      []pair
}

// apiDeleteBalancer deletes a load balancer with its listeners and rules. One that
// is not there is no mistake.
func (b *Balancer) apiDeleteBalancer(in *balancerInput) (*none, error) {
	b.mu.Lock()
	lb := b.balancerOf(in.LoadBalancerArn)
	if lb == nil {
		b.mu.Unlock()
		return &none{}, nil
	}
	if lb.Attributes["deletion_protection.enabled"] == "true" {
		b.mu.Unlock()
		return nil, refuse("OperationNotPermitted", "Load balancer '%s' cannot be deleted because deletion protection is enabled", lb.ARN)
	}
	listeners := b.listenersOf(lb.ARN)
	for _, l := range listeners {
		b.forget(l)
	}
	b.balancers = slices.DeleteFunc(b.balancers, func(o *balancer) bool { return o == lb })
	b.attached()
	b.mu.Unlock()
	for _, l := range listeners {
		l.close()
	}
	lb.transport.CloseIdleConnections()
	return &none{}, nil
}

// forget takes a listener and its rules out. Whoever calls closes it afterwards,
// without the lock.
func (b *Balancer) forget(l *listener) {
	b.listeners = slices.DeleteFunc(b.listeners, func(o *listener) bool { return o == l })
	b.rules = slices.DeleteFunc(b.rules, func(r *rule) bool { return r.Listener == l.ARN })
}

type attributesOutput struct{ Attributes []pair }

func (b *Balancer) apiBalancerAttributes(in *balancerInput) (*attributesOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lb := b.balancerOf(in.LoadBalancerArn)
	if lb == nil {
		return nil, errBalancer(in.LoadBalancerArn)
	}
	return &attributesOutput{pairs(lb.Attributes)}, nil
}

func (b *Balancer) apiModifyBalancerAttributes(in *balancerInput) (*attributesOutput, error) {
	if err := b.SetAttributes(in.LoadBalancerArn, mapOf(in.Attributes)); err != nil {
		return nil, err
	}
	return b.apiBalancerAttributes(in)
}
