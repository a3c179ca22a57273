package balancer

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// nameForm is what names of load balancers and target groups are made of.
var nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$`) })

// CreateLoadBalancer makes a load balancer.
func (b *Balancer) CreateLoadBalancer(lb LoadBalancer) (LoadBalancer, error) {
	setText(&lb.Type, Application)
	setText(&lb.Scheme, "internet-facing")
	setText(&lb.IPAddressType, "ipv4")
	setText(&lb.VPC, sandboxVPC)
	switch {
	case lb.Type != Application && lb.Type != Network:
		return LoadBalancer{}, unsupported("load balancers of type " + lb.Type)
	case !nameForm().MatchString(lb.Name) || strings.HasPrefix(lb.Name, "internal-"):
		return LoadBalancer{}, invalid("The load balancer name '%s' is not valid", lb.Name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := find(b.balancers, func(o *balancer) bool { return o.Name == lb.Name }); old != nil {
		if old.like(lb) {
			return old.LoadBalancer, nil
		}
		return LoadBalancer{}, refuse("DuplicateLoadBalancerName", "A load balancer with the same name '%s' exists, but with different settings", lb.Name)
	}
	if len(b.balancers) >= maxBalancers {
		return LoadBalancer{}, refuse("TooManyLoadBalancers", "The maximum number of load balancers has been reached")
	}
	id := newID()
	lb.ARN = b.arn(fmt.Sprintf("loadbalancer/%s/%s/%s", map[string]string{Application: "app", Network: "net"}[lb.Type], lb.Name, id))
	lb.DNSName = strings.ToLower(lb.Name) + "-" + id[:10] + "." + b.cfg.Region + domain
	lb.Created = b.cfg.Now().UTC()
	given := lb.Attributes
	lb.Attributes = balancerAttributes(lb.Type)
	if err := setAttributes(lb.Attributes, given); err != nil {
		return LoadBalancer{}, err
	}
	b.balancers = append(b.balancers, newBalancer(lb))
	return lb, nil
}

// like says whether a request asks for what is there already.
func (lb LoadBalancer) like(o LoadBalancer) bool {
	return lb.Type == o.Type && lb.Scheme == o.Scheme && lb.IPAddressType == o.IPAddressType &&
		slices.Equal(lb.Subnets, o.Subnets) && slices.Equal(lb.SecurityGroups, o.SecurityGroups)
}

func (g TargetGroup) like(o TargetGroup) bool {
	return g.Protocol == o.Protocol && g.ProtocolVersion == o.ProtocolVersion && g.Port == o.Port &&
		g.TargetType == o.TargetType && g.VPC == o.VPC && g.Check == o.Check
}

func newBalancer(lb LoadBalancer) *balancer {
	n := &balancer{LoadBalancer: lb, idle: new(idleTime)}
	n.applyIdle()
	n.transport = newTransport(n.idle)
	return n
}

// Quotas.
const (
	maxBalancers = 50
	maxListeners = 50 // of a load balancer
	maxRules     = 100
	maxGroups    = 3000
	maxTargets   = 1000 // of a target group
)

// CreateTargetGroup makes a target group.
func (b *Balancer) CreateTargetGroup(g TargetGroup) (TargetGroup, error) {
	if err := g.complete(); err != nil {
		return TargetGroup{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := find(b.groups, func(o *group) bool { return o.Name == g.Name }); old != nil {
		if old.TargetGroup.like(g) {
			return old.TargetGroup, nil
		}
		return TargetGroup{}, refuse("DuplicateTargetGroupName", "A target group with the same name '%s' exists, but with different settings", g.Name)
	}
	if len(b.groups) >= maxGroups {
		return TargetGroup{}, refuse("TooManyTargetGroups", "The maximum number of target groups has been reached")
	}
	g.ARN = b.arn("targetgroup/" + g.Name + "/" + newID())
	given := g.Attributes
	g.Attributes = groupAttributes(g.Protocol)
	if err := setAttributes(g.Attributes, given); err != nil {
		return TargetGroup{}, err
	}
	b.groups = append(b.groups, &group{TargetGroup: g})
	return g, nil
}

// CreateListener makes a listener with its default rule, and listens.
func (b *Balancer) CreateListener(l Listener) (Listener, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lb := b.balancerOf(l.LoadBalancer)
	if lb == nil {
		return Listener{}, errBalancer(l.LoadBalancer)
	}
	if err := b.checkListener(l, lb, ""); err != nil {
		return Listener{}, err
	}
	if len(b.listenersOf(lb.ARN)) >= maxListeners {
		return Listener{}, refuse("TooManyListeners", "The maximum number of listeners has been reached")
	}
	l.ARN = b.arn("listener/" + suffix(lb.ARN) + "/" + newID())
	l.Default = sortedActions(l.Default)
	opened, err := b.open(l, lb)
	if err != nil {
		return Listener{}, err
	}
	b.listeners = append(b.listeners, opened)
	b.rules = append(b.rules, newRule(Rule{
		ARN: b.arn("listener-rule/" + suffix(l.ARN) + "/" + newID()), Listener: l.ARN, Actions: l.Default,
	}))
	b.attached()
	return l, nil
}

func newRule(r Rule) *rule { return &rule{Rule: r, current: make(map[string]int)} }

// checkListener refuses what is no listener of lb. own is the ARN of the listener
// that is being changed, "" for a new one.
func (b *Balancer) checkListener(l Listener, lb *balancer, own string) error {
	allowed := []string{"HTTP", "HTTPS"}
	if lb.Type == Network {
		allowed = []string{"TCP", "TLS"}
		if l.Protocol == "UDP" || l.Protocol == "TCP_UDP" {
			return unsupported(l.Protocol + " listeners")
		}
	}
	switch {
	case !slices.Contains(allowed, l.Protocol):
		return invalid("Listener protocol '%s' must be one of '%s'", l.Protocol, strings.Join(allowed, ", "))
	case l.Port < 1 || l.Port > 65535:
		return invalid("Port '%d' must be between 1 and 65535", l.Port)
	case (l.Protocol == "HTTPS" || l.Protocol == "TLS") && len(l.Certificates) == 0:
		return refuse("CertificateNotFound", "A certificate must be specified for %s listeners", l.Protocol)
	}
	for _, o := range b.listenersOf(lb.ARN) {
		if o.Port == l.Port && o.ARN != own {
			return refuse("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", lb.ARN)
		}
	}
	return b.checkActions(l.Default, lb)
}

// checkActions refuses actions that a load balancer does not have.
func (b *Balancer) checkActions(actions []Action, lb *balancer) error {
	if len(actions) != 1 {
		if len(actions) == 0 {
			return invalid("At least one action must be specified")
		}
		return unsupported("rules with authentication or other further actions")
	}
	a := actions[0]
	switch {
	case a.Type == FixedResponse || a.Type == Redirect:
		if lb.Type == Network {
			return refuse("InvalidLoadBalancerAction", "The action type '%s' is not valid for network load balancers", a.Type)
		}
		return nil
	case a.Type != Forward:
		return unsupported("actions of type " + a.Type)
	case len(a.Groups) == 0:
		return invalid("A target group ARN must be specified")
	}
	for _, w := range a.Groups {
		g := b.group(w.Group)
		if g == nil {
			return errGroup(w.Group)
		}
		if network := g.Protocol == "TCP"; network != (lb.Type == Network) {
			return refuse("InvalidConfigurationRequest", "The target group protocol '%s' is not valid for the load balancer type '%s'", g.Protocol, lb.Type)
		}
		if w.Weight < 0 || w.Weight > 999 {
			return invalid("Weight '%d' must be between 0 and 999", w.Weight)
		}
		if others := b.balancersOf(w.Group); len(others) > 0 && !slices.Contains(others, lb.ARN) {
			return refuse("TargetGroupAssociationLimit", "The following target groups cannot be associated with more than one load balancer: %s", w.Group)
		}
	}
	return nil
}

func sortedActions(actions []Action) []Action {
	sorted := slices.Clone(actions)
	slices.SortStableFunc(sorted, func(a, b Action) int { return a.Order - b.Order })
	return sorted
}

// CreateRule makes a rule of a listener.
func (b *Balancer) CreateRule(r Rule) (Rule, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.listener(r.Listener)
	if l == nil {
		return Rule{}, errListener(r.Listener)
	}
	if r.Priority < 1 || r.Priority > 50000 {
		return Rule{}, invalid("Priority '%d' must be between 1 and 50000", r.Priority)
	}
	own := 0
	for _, o := range b.rules {
		if o.Listener != r.Listener {
			continue
		}
		if own++; o.Priority == r.Priority {
			return Rule{}, refuse("PriorityInUse", "Priority '%d' is currently in use", r.Priority)
		}
	}
	if own > maxRules {
		return Rule{}, refuse("TooManyRules", "The maximum number of rules on this load balancer has been reached")
	}
	if err := b.checkRule(r, l.lb); err != nil {
		return Rule{}, err
	}
	r.ARN = b.arn("listener-rule/" + suffix(l.ARN) + "/" + newID())
	r.Actions = sortedActions(r.Actions)
	b.rules = append(b.rules, newRule(r))
	b.attached()
	return r, nil
}

func (b *Balancer) checkRule(r Rule, lb *balancer) error {
	if lb.Type == Network {
		return refuse("OperationNotPermitted", "Rules are not supported for network load balancers")
	}
	if len(r.Conditions) == 0 {
		return invalid("A condition must be specified")
	}
	for _, c := range r.Conditions {
		if !slices.Contains([]string{pathPattern, hostHeader, httpHeader, method, queryString, sourceIP}, c.Field) {
			return invalid("Condition field '%s' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'", c.Field)
		}
		if len(c.Values)+len(c.Query) == 0 {
			return invalid("A condition value must be specified")
		}
	}
	return b.checkActions(r.Actions, lb)
}

// DefaultRule is the ARN of a listener's default rule.
func (b *Balancer) DefaultRule(listenerARN string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.rule(listenerARN); r != nil {
		return r.ARN
	}
	return ""
}

// SetWeights shares the traffic of a rule out between target groups: those that
// are named get these weights, all others of the rule 0. A listener's ARN stands
// for its default rule.
func (b *Balancer) SetWeights(ruleARN string, weights map[string]int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rule(ruleARN)
	if r == nil {
		return errRule(ruleARN)
	}
	if len(r.Actions) == 0 || r.Actions[0].Type != Forward {
		return invalid("Rule '%s' does not forward", ruleARN)
	}
	action := Action{Type: Forward, Order: r.Actions[0].Order}
	left := maps.Clone(weights)
	for _, w := range r.Actions[0].Groups {
		action.Groups = append(action.Groups, Weighted{w.Group, left[w.Group]})
		delete(left, w.Group)
	}
	for _, group := range slices.Sorted(maps.Keys(left)) {
		action.Groups = append(action.Groups, Weighted{group, left[group]})
	}
	l := b.listener(r.Listener)
	if err := b.checkActions([]Action{action}, l.lb); err != nil {
		return err
	}
	b.setActions(r, l, []Action{action})
	return nil
}

// setActions gives a rule its actions; a default rule's are its listener's too.
func (b *Balancer) setActions(r *rule, l *listener, actions []Action) {
	r.Actions, r.current = sortedActions(actions), make(map[string]int)
	if r.Priority == 0 {
		l.Default = r.Actions
	}
	b.attached()
}
