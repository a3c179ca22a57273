package sandbox

import (
	"cmp"
	"net"
	"slices"
	"strconv"

	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/page"
)

// Bounds of what is drawn of the traffic.
const (
	drawnSeconds   = 60
	drawnBalancers = 20
	drawnGroups    = 8 // of one load balancer
)

// Traffic is what went through the load balancers in the last minute, by target
// group and revision.
func (v view) Traffic() []page.Balancer {
	balancers := v.balancer.Look()
	if len(balancers) == 0 {
		return nil
	}
	slices.SortFunc(balancers, func(a, b balancer.Summary) int { return cmp.Compare(a.Name, b.Name) })
	counted := countSeconds(v.balancer.Traffic(), v.cfg.Now().Unix(), v.cluster.Targets())
	var all []page.Balancer
	for _, b := range balancers[:min(len(balancers), drawnBalancers)] {
		p := page.Balancer{Name: b.Name}
		if b.Address != "" {
			p.Address = "http://" + b.Address
		}
		for _, g := range b.Groups {
			p.Groups = append(p.Groups, viewGroup(g, counted[g.ARN])...)
		}
		p.Groups = p.Groups[:min(len(p.Groups), drawnGroups)]
		all = append(all, p)
	}
	return all
}

// viewGroup is a target group, once for each revision that requests went to.
func viewGroup(g balancer.GroupSummary, byRevision map[string][]page.Second) []page.Group {
	whole := page.Group{Name: g.Name, Shared: g.Shared, Weight: g.Weight, Healthy: g.Healthy, Targets: g.Targets, Draining: g.Draining}
	if len(byRevision) == 0 {
		return []page.Group{whole}
	}
	var groups []page.Group
	for revision, seconds := range byRevision {
		one := whole
		one.Revision, one.Seconds = revision, seconds
		if revision == untaken {
			one.Revision, one.Untaken = "", true
		}
		groups = append(groups, one)
	}
	last := func(g page.Group) int {
		if g.Untaken {
			return 1
		}
		return 0
	}
	slices.SortFunc(groups, func(a, b page.Group) int {
		return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(len(a.Revision), len(b.Revision)), cmp.Compare(a.Revision, b.Revision))
	})
	return groups
}

// untaken stands for a revision where no target took a request.
const untaken = "-"

// countSeconds are the requests of the minute that ends with now, by target group
// and revision; "" is a target that nobody knows, or knows any more.
func countSeconds(t balancer.Traffic, now int64, revisions map[cluster.Target]string) map[string]map[string][]page.Second {
	all := make(map[string]map[string][]page.Second)
	for _, s := range t.Seconds {
		i := int(s.At.Unix() - now + drawnSeconds - 1)
		if i < 0 || i >= drawnSeconds {
			continue
		}
		for _, c := range s.Counts {
			revision := ""
			if c.Target == "" {
				revision = untaken
			} else if host, port, err := net.SplitHostPort(c.Target); err == nil {
				n, _ := strconv.Atoi(port) // the balancer has written it
				revision = revisions[cluster.Target{Group: c.Group, ID: host, Port: n}]
			}
			if all[c.Group] == nil {
				all[c.Group] = make(map[string][]page.Second)
			}
			if all[c.Group][revision] == nil {
				all[c.Group][revision] = make([]page.Second, drawnSeconds)
			}
			failed := failures(c)
			all[c.Group][revision][i].Good += c.Requests - failed
			all[c.Group][revision][i].Failed += failed
		}
	}
	return all
}

// failures are the requests that a client would call failed: no answer, or a 5xx,
// whoever gave it.
func failures(c balancer.Counts) int {
	return min(max(c.Class[0]+c.Class[5], c.Failed), c.Requests)
}
