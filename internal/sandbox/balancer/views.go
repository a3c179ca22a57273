package balancer

import (
	"maps"
	"slices"
	"strconv"
)

func (lb *balancer) shape(region string) balancerShape {
	out := balancerShape{
		LoadBalancerArn: lb.ARN, DNSName: lb.DNSName, CanonicalHostedZoneId: "Z00000000SANDBOX",
		CreatedTime: lb.Created, LoadBalancerName: lb.Name, Scheme: lb.Scheme, VpcId: lb.VPC,
		State: stateShape{"active"}, Type: lb.Type, IpAddressType: lb.IPAddressType,
		AvailabilityZones: []zoneShape{}, SecurityGroups: lb.SecurityGroups,
	}
	for i, subnet := range lb.Subnets {
		out.AvailabilityZones = append(out.AvailabilityZones, zoneShape{ZoneName: region + string(rune('a'+i%3)), SubnetId: subnet})
	}
	return out
}

func (b *Balancer) groupShape(g *group) groupShape {
	out := groupShape{
		TargetGroupArn: g.ARN, TargetGroupName: g.Name, Protocol: g.Protocol, Port: g.Port, VpcId: g.VPC,
		HealthCheckProtocol: g.Check.Protocol, HealthCheckPort: g.Check.Port, HealthCheckEnabled: !g.Check.Disabled,
		HealthCheckIntervalSeconds: g.Check.Interval, HealthCheckTimeoutSeconds: g.Check.Timeout,
		HealthyThresholdCount: g.Check.Healthy, UnhealthyThresholdCount: g.Check.Unhealthy,
		HealthCheckPath: g.Check.Path, LoadBalancerArns: b.balancersOf(g.ARN), TargetType: g.TargetType,
		ProtocolVersion: g.ProtocolVersion, IpAddressType: g.IPAddressType,
	}
	if g.Check.Matcher != "" {
		out.Matcher = &matcherShape{HttpCode: g.Check.Matcher}
	}
	return out
}

func (l *listener) shape() listenerShape {
	out := listenerShape{
		ListenerArn: l.ARN, LoadBalancerArn: l.LoadBalancer, Port: l.Port, Protocol: l.Protocol,
		SslPolicy: l.SSLPolicy, DefaultActions: actionShapes(l.Default),
	}
	for _, c := range l.Certificates {
		out.Certificates = append(out.Certificates, certificateShape{c})
	}
	return out
}

func (r *rule) shape() ruleShape {
	out := ruleShape{RuleArn: r.ARN, Priority: "default", Conditions: []conditionShape{}, Actions: actionShapes(r.Actions), IsDefault: r.Priority == 0}
	if r.Priority > 0 {
		out.Priority = strconv.Itoa(r.Priority)
	}
	for _, c := range r.Conditions {
		out.Conditions = append(out.Conditions, c.shape())
	}
	return out
}

func (c Condition) shape() conditionShape {
	out := conditionShape{Field: c.Field}
	switch c.Field {
	case pathPattern:
		out.Values, out.PathPatternConfig = c.Values, &valuesShape{c.Values}
	case hostHeader:
		out.Values, out.HostHeaderConfig = c.Values, &valuesShape{c.Values}
	case httpHeader:
		out.HttpHeaderConfig = &headerShape{c.Header, c.Values}
	case method:
		out.HttpRequestMethodConfig = &valuesShape{c.Values}
	case sourceIP:
		out.SourceIpConfig = &valuesShape{c.Values}
	case queryString:
		out.QueryStringConfig = &queryShape{}
		for _, p := range c.Query {
			out.QueryStringConfig.Values = append(out.QueryStringConfig.Values, pairShape(p))
		}
	}
	return out
}

// condition reads a condition; simple ones may come in the older form.
func (s conditionShape) condition() Condition {
	c := Condition{Field: s.Field, Values: s.Values}
	for _, v := range []*valuesShape{s.HostHeaderConfig, s.PathPatternConfig, s.HttpRequestMethodConfig, s.SourceIpConfig} {
		if v != nil {
			c.Values = v.Values
		}
	}
	if s.HttpHeaderConfig != nil {
		c.Header, c.Values = s.HttpHeaderConfig.HttpHeaderName, s.HttpHeaderConfig.Values
	}
	if s.QueryStringConfig != nil {
		for _, p := range s.QueryStringConfig.Values {
			c.Query = append(c.Query, Pair(p))
		}
	}
	return c
}

func conditions(shapes []conditionShape) []Condition {
	var list []Condition
	for _, s := range shapes {
		list = append(list, s.condition())
	}
	return list
}

func actionShapes(actions []Action) []actionShape {
	list := make([]actionShape, 0, len(actions))
	for _, a := range actions {
		list = append(list, a.shape())
	}
	return list
}

func (a Action) shape() actionShape {
	out := actionShape{Type: a.Type, Order: a.Order}
	switch a.Type {
	case Forward:
		if len(a.Groups) == 1 {
			out.TargetGroupArn = a.Groups[0].Group
		}
		out.ForwardConfig = &forwardShape{TargetGroupStickinessConfig: &stickinessShape{}}
		for _, w := range a.Groups {
			out.ForwardConfig.TargetGroups = append(out.ForwardConfig.TargetGroups, weightShape{w.Group, &w.Weight})
		}
	case Redirect:
		out.RedirectConfig = &redirectShape{
			Protocol: otherwise(a.Protocol, "#{protocol}"), Port: otherwise(a.Port, "#{port}"), Host: otherwise(a.Host, "#{host}"),
			Path: otherwise(a.Path, "/#{path}"), Query: otherwise(a.Query, "#{query}"), StatusCode: a.Status,
		}
	case FixedResponse:
		out.FixedResponseConfig = &fixedShape{a.Message, a.Status, a.ContentType}
	}
	return out
}

func otherwise(v, instead string) string {
	setText(&v, instead)
	return v
}

// action reads an action. A single target group may come in the older form, and
// counts once when it comes in both.
func (s actionShape) action() Action {
	a := Action{Type: s.Type, Order: s.Order}
	if s.ForwardConfig != nil {
		for _, w := range s.ForwardConfig.TargetGroups {
			weight := 1
			if w.Weight != nil {
				weight = *w.Weight
			}
			a.Groups = append(a.Groups, Weighted{w.TargetGroupArn, weight})
		}
	}
	if s.TargetGroupArn != "" && len(a.Groups) == 0 {
		a.Groups = []Weighted{{s.TargetGroupArn, 1}}
	}
	if r := s.RedirectConfig; r != nil {
		a.Protocol, a.Port, a.Host, a.Path, a.Query, a.Status = r.Protocol, r.Port, r.Host, r.Path, r.Query, r.StatusCode
	}
	if f := s.FixedResponseConfig; f != nil {
		a.Message, a.Status, a.ContentType = f.MessageBody, f.StatusCode, f.ContentType
	}
	return a
}

func actions(shapes []actionShape) []Action {
	var list []Action
	for _, s := range shapes {
		list = append(list, s.action())
	}
	return list
}

// pairs lists a map in the order of its keys.
func pairs(m map[string]string) []pair {
	list := make([]pair, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, pair{k, m[k]})
	}
	return list
}

func mapOf(list []pair) map[string]string {
	m := make(map[string]string, len(list))
	for _, p := range list {
		m[p.Key] = p.Value
	}
	return m
}
