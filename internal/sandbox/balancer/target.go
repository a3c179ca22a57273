package balancer

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// group is a target group with its targets.
type group struct {
	TargetGroup
	targets []*target
	turn    int // of round robin
}

// target is a registered target, or one that is draining.
type target struct {
	Target
	state, reason, description string
	streak                     int // checks in a row that spoke against the state
	inFlight                   int
	gone                       chan struct{} // closed: no more checks
	wake                       chan struct{} // capacity 1: check now
	drained                    *time.Timer   // ends the draining
	over                       bool          // the divided delay is over, and requests are under way
}

func (t *target) is(id string, port int) bool { return t.ID == id && t.Port == port }

// release ends checks and draining.
func (t *target) release() {
	select {
	case <-t.gone:
	default:
		close(t.gone)
	}
	if t.drained != nil {
		t.drained.Stop()
	}
}

func (t *target) set(state, reason string) {
	t.state, t.reason, t.description = state, reason, descriptions[reason]
	t.streak = 0
}

// Register registers targets. One that is draining begins anew, one that is
// registered stays as it is.
func (b *Balancer) Register(groupARN string, targets ...Target) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.group(groupARN)
	if g == nil {
		return errGroup(groupARN)
	}
	for _, t := range targets {
		if t.Port == 0 {
			t.Port = g.Port
		}
		old := find(g.targets, func(o *target) bool { return o.is(t.ID, t.Port) })
		if old != nil && old.state != Draining {
			continue
		}
		if g.registered() >= maxTargets {
			b.changed(groupARN)
			return refuse("TooManyTargets", "The maximum number of targets has been reached")
		}
		if old != nil {
			old.release()
			g.drop(old)
		}
		b.add(g, &target{Target: t})
	}
	b.changed(groupARN)
	return nil
}

// registered is how many targets there are that are not leaving.
func (g *group) registered() int {
	n := 0
	for _, t := range g.targets {
		if t.state != Draining {
			n++
		}
	}
	return n
}

// add begins the life of a target.
func (b *Balancer) add(g *group, t *target) {
	t.gone, t.wake = make(chan struct{}), make(chan struct{}, 1)
	b.begin(g, t)
	g.targets = append(g.targets, t)
	b.work.Go(func() { b.watch(g, t) })
}

// begin gives a target its first state, or that of a target group without a
// load balancer.
func (b *Balancer) begin(g *group, t *target) {
	switch {
	case len(b.balancersOf(g.ARN)) == 0:
		t.set(Unused, "Target.NotInUse")
	case g.Check.Disabled:
		t.set(Unavailable, "Target.HealthCheckDisabled")
	default:
		t.set(Initial, "Elb.RegistrationInProgress")
	}
}

// attached looks again at targets of the groups that a change of listeners and
// rules may have put into use or out of it.
func (b *Balancer) attached() {
	for _, g := range b.groups {
		used := len(b.balancersOf(g.ARN)) > 0
		for _, t := range g.targets {
			if t.state == Draining || used == (t.state != Unused) {
				continue
			}
			b.begin(g, t)
			t.poke()
		}
		b.changed(g.ARN)
	}
}

// poke has a target checked without waiting for the interval.
func (t *target) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (g *group) drop(t *target) {
	g.targets = slices.DeleteFunc(g.targets, func(o *target) bool { return o == t })
}

// Deregister begins to drain targets: they get no new request, and leave when
// the deregistration delay is over. A target that is not there is no mistake.
func (b *Balancer) Deregister(groupARN string, targets ...Target) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.group(groupARN)
	if g == nil {
		return errGroup(groupARN)
	}
	for _, given := range targets {
		for _, t := range slices.Clone(g.targets) {
			if t.ID == given.ID && (given.Port == 0 || given.Port == t.Port) && t.state != Draining {
				b.drain(g, t)
			}
		}
	}
	b.changed(groupARN)
	return nil
}

func (b *Balancer) drain(g *group, t *target) {
	t.release()
	if t.state == Unused {
		g.drop(t) // it had no traffic that could end
		return
	}
	t.set(Draining, "Target.DeregistrationInProgress")
	delay := g.delay()
	divided := b.divided(delay)
	t.drained = time.AfterFunc(divided, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if t.inFlight == 0 || delay <= divided {
			b.leave(g, t)
			return
		}
		// Requests take real time: they have the delay as it is on AWS.
		t.over = true
		t.drained = time.AfterFunc(delay-divided, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.leave(g, t)
		})
		if b.ctx.Err() != nil {
			t.drained.Stop()
		}
	})
}

// leave ends the draining of a target.
func (b *Balancer) leave(g *group, t *target) {
	t.drained.Stop()
	g.drop(t)
	b.changed(g.ARN)
}

// delay is the group's deregistration delay.
func (g *group) delay() time.Duration {
	seconds, err := strconv.Atoi(g.Attributes[DeregistrationDelay])
	if err != nil {
		seconds = defaultDelay
	}
	return time.Duration(seconds) * time.Second
}

// Group is the target group of a name.
func (b *Balancer) Group(name string) (TargetGroup, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := find(b.groups, func(g *group) bool { return g.Name == name }); g != nil {
		return g.TargetGroup, nil
	}
	return TargetGroup{}, errGroup(name)
}

// TargetType is a target group's type, empty when there is none.
func (b *Balancer) TargetType(groupARN string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.group(groupARN); g != nil {
		return g.TargetType
	}
	return ""
}

// Balanced reports whether a load balancer sends a target group traffic.
func (b *Balancer) Balanced(groupARN string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.balancersOf(groupARN)) > 0
}

// Target is the health of one target. One that is not there is unused.
func (b *Balancer) Target(groupARN, id string, port int) (TargetHealth, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.group(groupARN)
	if g == nil {
		return TargetHealth{}, errGroup(groupARN)
	}
	return g.health(id, port), nil
}

// Targets is the health of all targets of a group, in the order of their
// registration.
func (b *Balancer) Targets(groupARN string) ([]TargetHealth, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.group(groupARN)
	if g == nil {
		return nil, errGroup(groupARN)
	}
	list := make([]TargetHealth, 0, len(g.targets))
	for _, t := range g.targets {
		list = append(list, g.report(t))
	}
	return list, nil
}

func (g *group) health(id string, port int) TargetHealth {
	if port == 0 {
		port = g.Port
	}
	if t := find(g.targets, func(t *target) bool { return t.is(id, port) }); t != nil {
		return g.report(t)
	}
	const reason = "Target.NotRegistered"
	return TargetHealth{ID: id, Port: port, State: Unused, Reason: reason, Description: descriptions[reason]}
}

func (g *group) report(t *target) TargetHealth {
	return TargetHealth{
		ID: t.ID, Port: t.Port, CheckPort: strconv.Itoa(g.checkPort(t)),
		State: t.state, Reason: t.reason, Description: t.description, InFlight: t.inFlight,
	}
}

// checkPort is the port of a target that is checked.
func (g *group) checkPort(t *target) int {
	if n, err := strconv.Atoi(g.Check.Port); err == nil {
		return n
	}
	return t.Port
}

// address is where a port of the target is dialled; "" when that would leave
// this machine.
func (t *target) address(port int) string {
	if a, ok := t.Reach[port]; ok {
		return a
	}
	if ip, err := netip.ParseAddr(t.ID); err != nil || !ip.IsLoopback() {
		return ""
	}
	return net.JoinHostPort(t.ID, strconv.Itoa(port))
}

// choose picks the target of a new request: round robin among the healthy ones,
// or among all that are registered when none is. It returns nil without any.
func (g *group) choose() *target {
	registered := slices.DeleteFunc(slices.Clone(g.targets), func(t *target) bool { return t.state == Draining || t.state == Unused })
	open := slices.DeleteFunc(slices.Clone(registered), func(t *target) bool { return t.state != Healthy && t.state != Unavailable })
	if len(open) == 0 {
		open = registered
	}
	if len(open) == 0 {
		return nil
	}
	g.turn++
	return open[g.turn%len(open)]
}
