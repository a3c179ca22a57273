package balancer

import (
	"slices"
	"strconv"
)

type listenerInput struct {
	ListenerArn, LoadBalancerArn string
	Port                         *int
	Protocol, SslPolicy          string
	Certificates                 []certificateShape
	DefaultActions               []actionShape
	Tags                         []pair
}

type listenersOutput struct {
	Listeners  []listenerShape
	NextMarker string `json:"NextMarker,omitzero"`
}

// apply changes what the request names.
func (in *listenerInput) apply(l *Listener) {
	overwrite(&l.Port, in.Port)
	setText(&in.Protocol, l.Protocol)
	setText(&in.SslPolicy, l.SSLPolicy)
	l.Protocol, l.SSLPolicy = in.Protocol, in.SslPolicy
	if in.Certificates != nil {
		l.Certificates = nil
	}
	for _, c := range in.Certificates {
		l.Certificates = append(l.Certificates, c.CertificateArn)
	}
	if in.DefaultActions != nil {
		l.Default = sortedActions(actions(in.DefaultActions))
	}
	if l.Protocol == "HTTPS" || l.Protocol == "TLS" {
		setText(&l.SSLPolicy, "ELBSecurityPolicy-2016-08")
	}
}

func (b *Balancer) apiCreateListener(in *listenerInput) (*listenersOutput, error) {
	l := Listener{LoadBalancer: in.LoadBalancerArn, Tags: mapOf(in.Tags)}
	in.apply(&l)
	l, err := b.CreateListener(l)
	if err != nil {
		return nil, err
	}
	return &listenersOutput{Listeners: []listenerShape{(&listener{Listener: l}).shape()}}, nil
}

type describeListenersInput struct {
	LoadBalancerArn string
	ListenerArns    []string
	page
}

func (b *Balancer) apiDescribeListeners(in *describeListenersInput) (*listenersOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if in.LoadBalancerArn == "" && len(in.ListenerArns) == 0 {
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN")
	}
	all := b.listeners
	if in.LoadBalancerArn != "" {
		if b.balancerOf(in.LoadBalancerArn) == nil {
			return nil, errBalancer(in.LoadBalancerArn)
		}
		all = b.listenersOf(in.LoadBalancerArn)
	}
	missing := func(string) error { return refuse("ListenerNotFound", "One or more listeners not found") }
	list, err := named(all, in.ListenerArns, nil, func(l *listener, arn, _ string) bool { return l.ARN == arn }, missing)
	if err != nil {
		return nil, err
	}
	part, next, err := cut(list, in.page)
	out := &listenersOutput{Listeners: []listenerShape{}, NextMarker: next}
	for _, l := range part {
		out.Listeners = append(out.Listeners, l.shape())
	}
	return out, err
}

func (b *Balancer) apiModifyListener(in *listenerInput) (*listenersOutput, error) {
	replaced, err := b.modifyListener(in)
	if replaced != nil {
		replaced.close()
	}
	if err != nil {
		return nil, err
	}
	return b.apiDescribeListeners(&describeListenersInput{ListenerArns: []string{in.ListenerArn}})
}

// modifyListener changes a listener. Another port or protocol takes a new socket;
// the listener with the old one is returned, to be closed.
func (b *Balancer) modifyListener(in *listenerInput) (replaced *listener, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.listener(in.ListenerArn)
	if l == nil {
		return nil, errListener(in.ListenerArn)
	}
	changed := l.Listener
	in.apply(&changed)
	if err := b.checkListener(changed, l.lb, l.ARN); err != nil {
		return nil, err
	}
	if changed.Port != l.Port || changed.Protocol != l.Protocol {
		opened, err := b.open(changed, l.lb)
		if err != nil {
			return nil, err
		}
		b.listeners[slices.Index(b.listeners, l)] = opened
		replaced, l = l, opened
	}
	l.Certificates, l.SSLPolicy = changed.Certificates, changed.SSLPolicy // the rest is read without the lock
	b.setActions(b.rule(l.ARN), l, changed.Default)
	return replaced, nil
}

func (b *Balancer) apiDeleteListener(in *listenerInput) (*none, error) {
	b.mu.Lock()
	l := b.listener(in.ListenerArn)
	if l == nil {
		b.mu.Unlock()
		return nil, errListener(in.ListenerArn)
	}
	b.forget(l)
	b.attached()
	b.mu.Unlock()
	l.close()
	return &none{}, nil
}

type ruleInput struct {
	RuleArn, ListenerArn string
	Priority             int
	Conditions           []conditionShape
	Actions              []actionShape
	Tags                 []pair
}

type rulesOutput struct {
	Rules      []ruleShape
	NextMarker string `json:"NextMarker,omitzero"`
}

func (b *Balancer) apiCreateRule(in *ruleInput) (*rulesOutput, error) {
	r, err := b.CreateRule(Rule{
		Listener: in.ListenerArn, Priority: in.Priority, Conditions: conditions(in.Conditions), Actions: actions(in.Actions), Tags: mapOf(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &rulesOutput{Rules: []ruleShape{newRule(r).shape()}}, nil
}

type describeRulesInput struct {
	ListenerArn string
	RuleArns    []string
	page
}

func (b *Balancer) apiDescribeRules(in *describeRulesInput) (*rulesOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := slices.Clone(b.rules)
	if in.ListenerArn != "" {
		if b.listener(in.ListenerArn) == nil {
			return nil, errListener(in.ListenerArn)
		}
		all = slices.DeleteFunc(all, func(r *rule) bool { return r.Listener != in.ListenerArn })
	} else if len(in.RuleArns) == 0 {
		return nil, invalid("You must specify either a listener ARN or rule ARNs")
	}
	slices.SortStableFunc(all, func(x, y *rule) int {
		if before(x, y) {
			return -1
		}
		if before(y, x) {
			return 1
		}
		return 0
	})
	missing := func(string) error { return refuse("RuleNotFound", "One or more rules not found") }
	list, err := named(all, in.RuleArns, nil, func(r *rule, arn, _ string) bool { return r.ARN == arn }, missing)
	if err != nil {
		return nil, err
	}
	part, next, err := cut(list, in.page)
	out := &rulesOutput{Rules: []ruleShape{}, NextMarker: next}
	for _, r := range part {
		out.Rules = append(out.Rules, r.shape())
	}
	return out, err
}

func (b *Balancer) apiModifyRule(in *ruleInput) (*rulesOutput, error) {
	if err := b.modifyRule(in); err != nil {
		return nil, err
	}
	return b.apiDescribeRules(&describeRulesInput{RuleArns: []string{in.RuleArn}})
}

func (b *Balancer) modifyRule(in *ruleInput) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := find(b.rules, func(r *rule) bool { return r.ARN == in.RuleArn })
	if r == nil {
		return errRule(in.RuleArn)
	}
	if r.Priority == 0 {
		return refuse("OperationNotPermitted", "Default rule '%s' cannot be modified", r.ARN)
	}
	l, changed := b.listener(r.Listener), r.Rule
	if in.Conditions != nil {
		changed.Conditions = conditions(in.Conditions)
	}
	if in.Actions != nil {
		changed.Actions = actions(in.Actions)
	}
	if err := b.checkRule(changed, l.lb); err != nil {
		return err
	}
	r.Rule = changed
	b.setActions(r, l, changed.Actions)
	return nil
}

func (b *Balancer) apiDeleteRule(in *ruleInput) (*none, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := find(b.rules, func(r *rule) bool { return r.ARN == in.RuleArn })
	switch {
	case r == nil:
		return nil, errRule(in.RuleArn)
	case r.Priority == 0:
		return nil, refuse("OperationNotPermitted", "Default rule '%s' cannot be deleted", r.ARN)
	}
	b.rules = slices.DeleteFunc(b.rules, func(o *rule) bool { return o == r })
	b.attached()
	return &none{}, nil
}

type prioritiesInput struct {
	RulePriorities []struct {
		RuleArn  string
		Priority int
	}
}

// apiSetPriorities changes priorities, all or none.
func (b *Balancer) apiSetPriorities(in *prioritiesInput) (*rulesOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wanted := make(map[*rule]int)
	for _, p := range in.RulePriorities {
		r := find(b.rules, func(r *rule) bool { return r.ARN == p.RuleArn })
		switch {
		case r == nil:
			return nil, errRule(p.RuleArn)
		case r.Priority == 0:
			return nil, refuse("OperationNotPermitted", "The priority of the default rule cannot be changed")
		}
		wanted[r] = p.Priority
	}
	taken := make(map[string]bool)
	for _, r := range b.rules {
		priority := r.Priority
		if p, ok := wanted[r]; ok {
			priority = p
		}
		place := r.Listener + " " + strconv.Itoa(priority)
		if taken[place] {
			return nil, refuse("PriorityInUse", "Priority '%d' is currently in use", priority)
		}
		taken[place] = true
	}
	out := &rulesOutput{Rules: []ruleShape{}}
	for _, r := range b.rules {
		if p, ok := wanted[r]; ok {
			r.Priority = p
			out.Rules = append(out.Rules, r.shape())
		}
	}
	return out, nil
}
