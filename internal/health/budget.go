package health

import "time"

// allowance is how many calls a watch may make beside its sentinel, which keeps
// its own pace: however much happens in a large fleet, the calls of a minute stay
// within bounds. Tokens come back one by one; what a failure waits for may take the
// last ones, what only refreshes a picture leaves some.
type allowance struct {
	tokens float64
	at     time.Time
}

// refill gives back what time has given since the last look.
func (a *allowance) refill(now time.Time, r Rhythm) {
	if a.at.IsZero() {
		a.tokens = r.burst()
	} else {
		a.tokens += now.Sub(a.at).Seconds() / r.Spare.Seconds()
	}
	a.tokens, a.at = min(a.tokens, r.burst()), now
}

// burst is how many calls may be saved up: those of ten seconds, at least two.
func (r Rhythm) burst() float64 { return max(2, 10/r.Spare.Seconds()) }

// affords says whether a source may make its next call now; when it may not, when
// it may. Calls that a decision waits for are made at once: there are few of them.
func (r *run) affords(s *source, now time.Time) (bool, time.Time) {
	if s == r.sentinel() || s == r.logs || s.urgent {
		return true, now
	}
	p := r.rhythm(now)
	r.spare.refill(now, p)
	want := 2.0
	switch {
	case s == r.tasks && len(r.fleet.wanted) > 0:
		want = -1 // a task that died: on credit
	case now.Sub(s.due) > 2*p.Spare:
		want = 1 // what has waited long is not put off for ever
	}
	if missing := want - r.spare.tokens; missing > 0 {
		return false, now.Add(time.Duration(missing * float64(p.Spare)))
	}
	return true, now
}

// spend takes for a call that was begun what it costs.
func (r *run) spend(s *source) {
	switch s {
	case r.sentinel(), r.logs:
	case r.tasks:
		r.spare.tokens -= float64(max(1, (r.fleet.asked+tasksPerCall-1)/tasksPerCall))
	case r.deployment:
		r.spare.tokens--
		if r.own.ServiceDeploymentArn == nil && r.scope.serviceDeployment == "" {
			r.spare.tokens -= 2 // it is looked for first: three calls
		}
	default:
		r.spare.tokens--
	}
}
