package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

// plantBalancers makes the target groups and load balancers, and returns what
// stands for their ARNs in the seed.
func (s *Server) plantBalancers(from *seed.Seed) (map[string]string, error) {
	arns := make(map[string]string)
	for _, g := range from.TargetGroups {
		made, err := s.balancer.CreateTargetGroup(targetGroup(g))
		if err != nil {
			return nil, fmt.Errorf("seed target group %s: %w", g.Name, err)
		}
		arns[seed.GroupARN(g.Name)] = made.ARN
	}
	for _, lb := range from.LoadBalancers {
		made, err := s.balancer.CreateLoadBalancer(balancer.LoadBalancer{Name: lb.Name, Type: lb.Type})
		if err != nil {
			return nil, fmt.Errorf("seed load balancer %s: %w", lb.Name, err)
		}
		for _, l := range lb.Listeners {
			if err := s.plantListener(made, l, arns); err != nil {
				return nil, fmt.Errorf("seed load balancer %s, port %d: %w", lb.Name, l.Port, err)
			}
		}
	}
	return arns, nil
}

func targetGroup(g seed.TargetGroup) balancer.TargetGroup {
	out := balancer.TargetGroup{
		Name: g.Name, Protocol: g.Protocol, Port: g.Port, TargetType: g.Type,
		Check: balancer.HealthCheck{
			Path: g.HealthCheck.Path, Matcher: g.HealthCheck.Matcher, Interval: g.HealthCheck.Interval,
			Timeout: g.HealthCheck.Timeout, Healthy: g.HealthCheck.Healthy, Unhealthy: g.HealthCheck.Unhealthy,
		},
	}
	if out.Protocol == "" {
		out.Protocol = "HTTP"
	}
	if out.TargetType == "" {
		out.TargetType = "ip"
	}
	if g.DeregistrationDelay != nil {
		out.Attributes = map[string]string{balancer.DeregistrationDelay: strconv.Itoa(*g.DeregistrationDelay)}
	}
	return out
}

func (s *Server) plantListener(lb balancer.LoadBalancer, l seed.Listener, arns map[string]string) error {
	protocol := "HTTP"
	if lb.Type == balancer.Network {
		protocol = "TCP"
	}
	made, err := s.balancer.CreateListener(balancer.Listener{LoadBalancer: lb.ARN, Protocol: protocol, Port: l.Port, Default: forward(l.To, arns)})
	if err != nil {
		return err
	}
	arns[seed.RuleARN(lb.Name, l.Port, 0)] = s.balancer.DefaultRule(made.ARN)
	for _, r := range l.Rules {
		rule := balancer.Rule{Listener: made.ARN, Priority: r.Priority, Actions: forward(r.To, arns)}
		if len(r.Hosts) > 0 {
			rule.Conditions = append(rule.Conditions, balancer.Condition{Field: "host-header", Values: r.Hosts})
		}
		if len(r.Paths) > 0 {
			rule.Conditions = append(rule.Conditions, balancer.Condition{Field: "path-pattern", Values: r.Paths})
		}
		rule, err := s.balancer.CreateRule(rule)
		if err != nil {
			return err
		}
		arns[seed.RuleARN(lb.Name, l.Port, r.Priority)] = rule.ARN
	}
	return nil
}

func forward(to seed.Destination, arns map[string]string) []balancer.Action {
	a := balancer.Action{Type: balancer.Forward}
	for _, name := range slices.Sorted(maps.Keys(to.Groups())) {
		a.Groups = append(a.Groups, balancer.Weighted{Group: arns[seed.GroupARN(name)], Weight: to.Groups()[name]})
	}
	return []balancer.Action{a}
}
