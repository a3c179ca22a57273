// Package balancer is Elastic Load Balancing of the sandbox: load balancers,
// listeners, rules and target groups, with proxies on loopback that carry real
// traffic to the targets, health checks and draining.
//
// Start with [New]; [Balancer.Close] ends every proxy, check and listener.
// What clients see is the ELBv2 API ([Balancer.API]); the scheduler of ECS uses
// [Balancer.Register], [Balancer.Deregister] and [Balancer.Target], and hears of
// changes by [Config.Changed]. [Balancer.SetWeights] shifts traffic between the
// target groups of a rule, and [Balancer.Traffic] counts what went where.
//
// An application load balancer spreads requests round robin over the healthy
// targets of the target group that the rule and its weights choose. When none is
// healthy it tries all of them (it "fails open"); when there is none at all it
// answers 503. A connection that is refused or reset is a 502, one that is silent
// for longer than the idle timeout a 504. A target that is deregistered gets no
// new request, and what it was doing goes on. Network load balancers carry TCP.
//
// Everything listens on loopback and dials loopback only: a listener has the port
// that it asks for when that is free, and otherwise any. HTTPS and TLS listeners
// speak plainly. Divided by the speed are health check intervals and
// deregistration delays; timeouts are what a real process has to meet.
package balancer
