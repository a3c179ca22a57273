package balancer

import (
	"slices"
	"strconv"
	"strings"
)

// complete fills in what CreateTargetGroup takes when nothing is said, and
// refuses what it refuses.
func (g *TargetGroup) complete() error {
	setText(&g.TargetType, "instance")
	setText(&g.IPAddressType, "ipv4")
	switch {
	case !nameForm().MatchString(g.Name):
		return invalid("Target group name '%s' is not valid", g.Name)
	case !slices.Contains([]string{"instance", "ip"}, g.TargetType):
		return unsupported("target groups of type " + g.TargetType)
	case g.Protocol == "":
		return invalid("A protocol must be specified")
	case !slices.Contains([]string{"HTTP", "HTTPS", "TCP"}, g.Protocol):
		return unsupported("target groups of protocol " + g.Protocol)
	case g.Port < 1 || g.Port > 65535:
		return invalid("A port must be specified")
	}
	if g.Protocol != "TCP" {
		setText(&g.ProtocolVersion, "HTTP1")
		if g.ProtocolVersion != "HTTP1" {
			return unsupported("target groups of protocol version " + g.ProtocolVersion)
		}
	}
	return g.Check.complete(g.Protocol)
}

func (c *HealthCheck) complete(protocol string) error {
	otherwise := "HTTP"
	if protocol == "TCP" {
		otherwise = "TCP"
	}
	setText(&c.Protocol, otherwise)
	setText(&c.Port, "traffic-port")
	setNumber(&c.Interval, 30)
	setNumber(&c.Healthy, 5)
	setNumber(&c.Unhealthy, 2)
	if c.Protocol == "TCP" {
		setNumber(&c.Timeout, 10)
		c.Path, c.Matcher = "", ""
	} else {
		setNumber(&c.Timeout, map[bool]int{true: 6, false: 5}[protocol == "TCP"])
		setText(&c.Path, "/")
		setText(&c.Matcher, map[bool]string{true: "200-399", false: "200"}[protocol == "TCP"])
	}
	return c.check(protocol)
}

func (c *HealthCheck) check(protocol string) error {
	port, err := strconv.Atoi(c.Port)
	switch {
	case !slices.Contains([]string{"HTTP", "HTTPS", "TCP"}, c.Protocol) || c.Protocol == "TCP" && protocol != "TCP":
		return invalid("Health check protocol '%s' is not supported for target groups with the protocol '%s'", c.Protocol, protocol)
	case c.Port != "traffic-port" && (err != nil || port < 1 || port > 65535):
		return invalid("Health check port '%s' must be 'traffic-port' or in the range 1-65535", c.Port)
	case c.Interval < 5 || c.Interval > 300:
		return invalid("Health check interval '%d' must be between 5 and 300", c.Interval)
	case c.Timeout < 2 || c.Timeout > 120:
		return invalid("Health check timeout '%d' must be between 2 and 120", c.Timeout)
	case protocol != "TCP" && c.Timeout >= c.Interval:
		return invalid("Health check interval must be greater than the timeout.")
	case c.Healthy < 2 || c.Healthy > 10:
		return invalid("Healthy threshold count '%d' must be between 2 and 10", c.Healthy)
	case c.Unhealthy < 2 || c.Unhealthy > 10:
		return invalid("Unhealthy threshold count '%d' must be between 2 and 10", c.Unhealthy)
	case c.Protocol != "TCP" && !strings.HasPrefix(c.Path, "/"):
		return invalid("Health check path '%s' must begin with a '/' character and be at most 1024 characters long", c.Path)
	case c.Protocol != "TCP" && !validMatcher(c.Matcher):
		return invalid("Health check matcher HTTP code '%s' must be within '200-499' inclusive", c.Matcher)
	}
	return nil
}

// validMatcher accepts a code, a range, or a list of them.
func validMatcher(matcher string) bool {
	for _, part := range strings.Split(matcher, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || from < 200 || to > 599 || from > to {
			return false
		}
	}
	return true
}

func setText(p *string, otherwise string) {
	if *p == "" {
		*p = otherwise
	}
}

func setNumber(p *int, otherwise int) {
	if *p == 0 {
		*p = otherwise
	}
}
