package page

import "sync"

// groupColours is how many colours there are for target groups. Failures have one
// of their own.
const groupColours = 4

// mostPainted is how many series of a load balancer keep their colours while they
// are not drawn.
const mostPainted = 64

// series is what has a colour in the picture of a load balancer's traffic.
type series struct{ Group, Revision string }

// painted is a view whose series keep their colours, whatever comes beside them.
type painted struct {
	View
	mu      sync.Mutex
	colours map[string]map[series]int // by load balancer
}

func (p *painted) Traffic() []Balancer {
	list := p.View.Traffic()
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := make(map[string]map[series]int, len(list))
	for _, b := range list {
		had := p.colours[b.Name]
		if had == nil || len(had) > mostPainted {
			had = make(map[series]int)
		}
		paint(b.Groups, had)
		kept[b.Name] = had
	}
	p.colours = kept
	return list
}

// paint gives each group the colour that it had, and one that the fewest others
// have when it had none.
func paint(groups []Group, had map[series]int) {
	var used [groupColours]int
	for _, g := range groups {
		if c, ok := had[series{g.Name, g.Revision}]; ok && !g.Untaken {
			used[c]++
		}
	}
	for i := range groups {
		g := &groups[i]
		if g.Untaken {
			continue
		}
		c, ok := had[series{g.Name, g.Revision}]
		if !ok {
			for k, n := range used {
				if n < used[c] {
					c = k
				}
			}
			had[series{g.Name, g.Revision}] = c
			used[c]++
		}
		g.Colour = c
	}
}
