package balancer

// Summary is a load balancer at a glance.
type Summary struct {
	Name, Address string // host:port of the listener with the lowest port; "" without one
	Groups        []GroupSummary
}

// GroupSummary is a target group at a glance, with its share in the first rule
// that forwards to it.
type GroupSummary struct {
	ARN, Name                string
	Weight, Healthy, Targets int
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
					s.Groups = append(s.Groups, g.glance(w.Weight))
				}
			}
		}
		all = append(all, s)
	}
	return all
}

// forwards are the target groups of a listener's rules, with their weights.
func (b *Balancer) forwards(l *listener) []Weighted {
	var list []Weighted
	for _, r := range b.rules {
		if r.Listener != l.ARN {
			continue
		}
		for _, a := range r.Actions {
			list = append(list, a.Groups...)
		}
	}
	return list
}

func (g *group) glance(weight int) GroupSummary {
	s := GroupSummary{ARN: g.ARN, Name: g.Name, Weight: weight, Targets: len(g.targets)}
	for _, t := range g.targets {
		if t.state == Healthy {
			s.Healthy++
		}
	}
	return s
}
