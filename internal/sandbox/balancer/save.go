package balancer

import (
	"encoding/json"
	"fmt"
)

// kept is what of a balancer lives through a restart. The targets that the
// scheduler registered do not: their tasks are started anew, and registered.
type kept struct {
	Balancers []LoadBalancer
	Groups    []keptGroup
	Listeners []Listener
	Rules     []Rule
}

type keptGroup struct {
	TargetGroup
	Targets []Target
}

// Save is the state as it is now.
func (b *Balancer) Save() (json.RawMessage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var k kept
	for _, lb := range b.balancers {
		k.Balancers = append(k.Balancers, lb.LoadBalancer)
	}
	for _, g := range b.groups {
		group := keptGroup{TargetGroup: g.TargetGroup}
		for _, t := range g.targets {
			if t.Reach == nil && t.state != Draining {
				group.Targets = append(group.Targets, t.Target)
			}
		}
		k.Groups = append(k.Groups, group)
	}
	for _, l := range b.listeners {
		k.Listeners = append(k.Listeners, l.Listener)
	}
	for _, r := range b.rules {
		k.Rules = append(k.Rules, r.Rule)
	}
	return json.Marshal(k)
}

// Load takes a state that was saved, before anything else happens, and listens.
func (b *Balancer) Load(raw json.RawMessage) error {
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		return fmt.Errorf("read load balancers: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, lb := range k.Balancers {
		b.balancers = append(b.balancers, newBalancer(lb))
	}
	for _, g := range k.Groups {
		b.groups = append(b.groups, &group{TargetGroup: g.TargetGroup})
	}
	for _, l := range k.Listeners {
		lb := b.balancerOf(l.LoadBalancer)
		if lb == nil {
			return errBalancer(l.LoadBalancer)
		}
		opened, err := b.open(l, lb)
		if err != nil {
			return err
		}
		b.listeners = append(b.listeners, opened)
	}
	for _, r := range k.Rules {
		if b.listener(r.Listener) == nil {
			return errListener(r.Listener)
		}
		b.rules = append(b.rules, newRule(r))
	}
	for i, g := range b.groups {
		for _, t := range k.Groups[i].Targets {
			b.add(g, &target{Target: t})
		}
	}
	return nil
}
