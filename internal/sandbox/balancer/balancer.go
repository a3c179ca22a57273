package balancer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is what a [Balancer] is made of. The zero value will do.
type Config struct {
	Account string // 12 digits; default 000000000000
	Region  string // default us-east-1

	// Speed divides intervals of health checks and deregistration delays; 0 is 1.
	Speed float64

	// Settle is how long a new target is not checked at the least. It is not
	// divided: what starts there is a real process.
	Settle time.Duration

	Now func() time.Time // nil is time.Now

	// Changed is told, from a goroutine of its own, the ARN of a target group in
	// which the health of a target may have changed. It may call the balancer.
	Changed func(group string)

	Logger *slog.Logger // nil: nowhere

	// TasksOnly keeps clients from registering programs of this machine as targets.
	TasksOnly bool
}

// Balancer is Elastic Load Balancing of one account in one region.
type Balancer struct {
	cfg     Config
	traffic *traffic
	checks  *http.Client

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex // guards all that follows
	balancers []*balancer
	groups    []*group
	listeners []*listener
	rules     []*rule
	stale     map[string]bool // target groups to tell about

	news chan struct{} // capacity 1: there are some
}

// balancer is a load balancer with what carries its requests.
type balancer struct {
	LoadBalancer
	idle      *idleTime
	transport *http.Transport
}

// rule is a rule with the state of its weighted choice.
type rule struct {
	Rule
	current map[string]int // of smooth weighted round robin, by target group
}

// New returns an empty balancer. It performs no I/O.
func New(cfg Config) *Balancer {
	if cfg.Account == "" {
		cfg.Account = "000000000000"
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Speed <= 0 {
		cfg.Speed = 1
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &Balancer{
		cfg: cfg, traffic: newTraffic(cfg.Now), checks: checkClient(), ctx: ctx, cancel: cancel,
		stale: make(map[string]bool), news: make(chan struct{}, 1),
	}
	b.work.Go(b.tell)
	return b
}

// tell hands news on. What happens to a group until it is told of is told at once:
// a service of many tasks changes as often as it has tasks.
func (b *Balancer) tell() {
	for {
		select {
		case <-b.news:
		case <-b.ctx.Done():
			return
		}
		b.mu.Lock()
		stale := b.stale
		b.stale = make(map[string]bool)
		b.mu.Unlock()
		for group := range stale {
			if b.cfg.Changed != nil && b.ctx.Err() == nil {
				b.cfg.Changed(group)
			}
		}
	}
}

// changed notes that a target group has news. It is called with the lock and must
// not wait: whoever listens may want to call the balancer.
func (b *Balancer) changed(group string) {
	b.stale[group] = true
	select {
	case b.news <- struct{}{}:
	default: // it is known that there are some
	}
}

// Close ends every proxy, check and listener, and returns when they have ended.
func (b *Balancer) Close() error {
	b.cancel()
	b.mu.Lock()
	listeners, balancers := slices.Clone(b.listeners), slices.Clone(b.balancers)
	for _, g := range b.groups {
		for _, t := range g.targets {
			t.release()
		}
	}
	b.mu.Unlock()
	for _, l := range listeners {
		l.close()
	}
	b.work.Wait()
	for _, lb := range balancers {
		lb.transport.CloseIdleConnections()
	}
	b.checks.CloseIdleConnections()
	return nil
}

// divided is one of AWS's waiting times here.
func (b *Balancer) divided(d time.Duration) time.Duration {
	return time.Duration(float64(d) / b.cfg.Speed)
}

// arn is an ARN of Elastic Load Balancing.
func (b *Balancer) arn(resource string) string {
	return fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:%s", b.cfg.Region, b.cfg.Account, resource)
}

// newID is the last part of an ARN: 16 hexadecimal digits.
func newID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}

func (b *Balancer) balancerOf(arn string) *balancer {
	return find(b.balancers, func(lb *balancer) bool { return lb.ARN == arn })
}

func (b *Balancer) group(arn string) *group {
	return find(b.groups, func(g *group) bool { return g.ARN == arn })
}

func (b *Balancer) listener(arn string) *listener {
	return find(b.listeners, func(l *listener) bool { return l.ARN == arn })
}

// rule finds a rule by its ARN, or a listener's default rule by the listener's.
func (b *Balancer) rule(arn string) *rule {
	return find(b.rules, func(r *rule) bool { return r.ARN == arn || r.Priority == 0 && r.Listener == arn })
}

func find[T any](list []*T, is func(*T) bool) *T {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}

// balancersOf are the ARNs of the load balancers that send traffic to a target
// group.
func (b *Balancer) balancersOf(group string) []string {
	var arns []string
	for _, r := range b.rules {
		if l := b.listener(r.Listener); l != nil && r.names(group) && !slices.Contains(arns, l.LoadBalancer) {
			arns = append(arns, l.LoadBalancer)
		}
	}
	return arns
}

// names reports whether a rule has a target group in one of its actions.
func (r *rule) names(group string) bool {
	for _, a := range r.Actions {
		if slices.ContainsFunc(a.Groups, func(w Weighted) bool { return w.Group == group }) {
			return true
		}
	}
	return false
}

// suffix is what ARNs of what belongs to a resource begin with: app/NAME/ID.
func suffix(arn string) string {
	_, rest, _ := strings.Cut(arn[strings.LastIndexByte(arn, ':')+1:], "/")
	return rest
}
