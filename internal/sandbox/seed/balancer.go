package seed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

// LoadBalancer is a load balancer with its listeners. It listens on loopback.
type LoadBalancer struct {
	Name      string     `yaml:"name"`
	Type      string     `yaml:"type"` // application (default) or network
	Listeners []Listener `yaml:"listeners"`
}

// Listener is a listener. Port is the one that it would have on AWS, and has here
// when that is free.
type Listener struct {
	Port  int          `yaml:"port"`
	To    Destination  `yaml:",inline"`
	Rules []RoutedPart `yaml:"rules"`
}

// Destination is where requests go: to one target group, or to several by weight.
type Destination struct {
	TargetGroup string         `yaml:"targetGroup"`
	Weights     map[string]int `yaml:"weights"`
}

// Groups are the target groups with their weights.
func (d Destination) Groups() map[string]int {
	if d.TargetGroup != "" {
		return map[string]int{d.TargetGroup: 1}
	}
	return d.Weights
}

// RoutedPart is a rule: the requests to these hosts and paths.
type RoutedPart struct {
	Priority int         `yaml:"priority"`
	Hosts    []string    `yaml:"hosts"`
	Paths    []string    `yaml:"paths"`
	To       Destination `yaml:",inline"`
}

// TargetGroup is a target group. Its targets are tasks, which register themselves.
// What a health check does not say is as on AWS.
type TargetGroup struct {
	Name                string `yaml:"name"`
	Port                int    `yaml:"port"`
	Protocol            string `yaml:"protocol"` // HTTP (default), HTTPS or TCP
	Type                string `yaml:"type"`     // ip (default), for awsvpc, or instance
	DeregistrationDelay *int   `yaml:"deregistrationDelay"`
	HealthCheck         Check  `yaml:"healthCheck"`
}

// Check is the health check of a target group; times are in seconds.
type Check struct {
	Path      string `yaml:"path"`
	Matcher   string `yaml:"matcher"`
	Interval  int    `yaml:"interval"`
	Timeout   int    `yaml:"timeout"`
	Healthy   int    `yaml:"healthy"`
	Unhealthy int    `yaml:"unhealthy"`
}

// Placeholders for ARNs in the settings of services, which are known only when the
// load balancers are there.
func GroupARN(group string) string { return "${TARGET_GROUP:" + group + "}" }

// RuleARN stands for the rule of a listener: its default rule, or the one with
// that priority.
func RuleARN(balancer string, port, priority int) string {
	if priority > 0 {
		return fmt.Sprintf("${LISTENER_RULE:%s:%d:%d}", balancer, port, priority)
	}
	return fmt.Sprintf("${LISTENER_RULE:%s:%d}", balancer, port)
}

var placeholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{(TARGET_GROUP|LISTENER_RULE):[^}]*\}`) })

// Filled is the service with ARNs in the place of placeholders.
func (s Service) Filled(arns map[string]string) Service {
	s.Settings.Raw = json.RawMessage(placeholder().ReplaceAllFunc(s.Settings.Raw, func(p []byte) []byte {
		if arn, ok := arns[string(p)]; ok {
			return []byte(arn)
		}
		return bytes.Clone(p)
	}))
	return s
}

var balancerName = form.New(`^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$`)

// checkBalancers looks at target groups and load balancers, and at what services
// say of them.
func (c *checker) checkBalancers() {
	groups, known := map[string]bool{}, map[string]bool{}
	for i, g := range c.seed.TargetGroups {
		path := []any{"targetGroups", i}
		c.name(groups, balancerName, "target group", g.Name, append(path, "name")...)
		c.port(g.Port, append(path, "port"))
		known[GroupARN(g.Name)] = true
	}
	balancers := map[string]bool{}
	for i, lb := range c.seed.LoadBalancers {
		path := []any{"loadBalancers", i}
		c.name(balancers, balancerName, "load balancer", lb.Name, append(path, "name")...)
		for j, l := range lb.Listeners {
			at := append(slices.Clone(path), "listeners", j)
			c.port(l.Port, append(slices.Clone(at), "port"))
			c.destination(l.To, groups, at)
			known[RuleARN(lb.Name, l.Port, 0)] = true
			for k, r := range l.Rules {
				c.destination(r.To, groups, append(slices.Clone(at), "rules", k))
				known[RuleARN(lb.Name, l.Port, r.Priority)] = true
			}
		}
	}
	for i, s := range c.seed.Services {
		for _, p := range placeholder().FindAllString(string(s.Settings.Raw), -1) {
			if !known[p] {
				c.add([]any{"services", i, "settings"}, "%s is nothing in this file%s", p, choices(known))
			}
		}
	}
}

func (c *checker) port(port int, path []any) {
	if port < 1 || port > 65535 {
		c.add(path, "a port is between 1 and 65535, not %d", port)
	}
}

func (c *checker) destination(d Destination, groups map[string]bool, path []any) {
	if (d.TargetGroup == "") == (len(d.Weights) == 0) {
		c.add(path, "requests go to a targetGroup, or to several by weights")
	}
	for _, name := range slices.Sorted(maps.Keys(d.Groups())) {
		if !groups[name] {
			c.add(path, "there is no target group %q in this file%s", name, choices(groups))
		}
	}
}
