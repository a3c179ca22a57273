package balancer

// Summary is a load balancer at a glance.
type Summary struct {
	Name, Address string // host:port of the listener with the lowest port; "" without one
	Groups        []GroupSummary
}

// GroupSummary is a target group at a glance, with its share in the first rule
// that forwards to it.
type GroupSummary struct {
	ARN, Name                  string
	Weight                     int
	Shared                     bool // the rule forwards to other groups as well
	Healthy, Targets, Draining int  // targets that drain are not among Targets
}

// Look tells of all load balancers at a glance. Target groups are in the order in
// which listeners and their rules name them.
func (b *Balancer) Look() []Summary {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Summary, 0, len(b.balancers))
	for _, lb := range b.balancers {
		s := Summary{Name: lb.Name}
		seen := make(map[string]bool)
		for i, l := range b.listenersOf(lb.ARN) {
			if i == 0 {
				s.Address = l.socket.Addr().String()
			}
			for _, w := range b.forwards(l) {
				if g := b.group(w.Group); g != nil && !seen[w.Group] {
					seen[w.Group] = true
					s.Groups = append(s.Groups, g.glance(w))
				}
			}
		}
		all = append(all, s)
	}
	return all
}

// share is a target group of a rule.
type share struct {
	Weighted
	shared bool // with other groups
}

// forwards are the target groups of a listener's rules, with their weights.
func (b *Balancer) forwards(l *listener) []share {
	var list []share
	for _, r := range b.rules {
		if r.Listener != l.ARN {
			continue
		}
		for _, a := range r.Actions {
			for _, w := range a.Groups {
				list = append(list, share{w, len(a.Groups) > 1})
			}
		}
	}
	return list
}

func (g *group) glance(of share) GroupSummary {
	s := GroupSummary{ARN: g.ARN, Name: g.Name, Weight: of.Weight, Shared: of.shared}
	for _, t := range g.targets {
		if t.state == Draining {
			s.Draining++
			continue
		}
		s.Targets++
		if t.state == Healthy {
			s.Healthy++
		}
	}
	return s
}
