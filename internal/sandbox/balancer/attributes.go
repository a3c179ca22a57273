package balancer

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Attributes that have an effect here. The others are kept and shown.
const (
	// DeregistrationDelay is how long targets drain, in seconds.
	DeregistrationDelay = "deregistration_delay.timeout_seconds"
	idleTimeout         = "idle_timeout.timeout_seconds"
)

const (
	defaultDelay = 300 // seconds
	defaultIdle  = 60  // seconds, of an application load balancer
	networkIdle  = 350 // seconds, of TCP
)

// defaults of an application load balancer's attributes.
func balancerAttributes(kind string) map[string]string {
	all := map[string]string{
		"access_logs.s3.enabled": "false", "access_logs.s3.bucket": "", "access_logs.s3.prefix": "",
		"deletion_protection.enabled": "false", "load_balancing.cross_zone.enabled": "true",
	}
	if kind == Network {
		all["load_balancing.cross_zone.enabled"] = "false"
		return all
	}
	maps.Copy(all, map[string]string{
		idleTimeout: strconv.Itoa(defaultIdle), "client_keep_alive.seconds": "3600",
		"routing.http.desync_mitigation_mode": "defensive", "routing.http.drop_invalid_header_fields.enabled": "false",
		"routing.http.preserve_host_header.enabled": "false", "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
		"routing.http.xff_client_port.enabled": "false", "routing.http.xff_header_processing.mode": "append",
		"routing.http2.enabled": "true", "waf.fail_open.enabled": "false",
		"connection_logs.s3.enabled": "false", "connection_logs.s3.bucket": "", "connection_logs.s3.prefix": "",
	})
	return all
}

// groupAttributes are the defaults of a target group's attributes.
func groupAttributes(protocol string) map[string]string {
	all := map[string]string{
		DeregistrationDelay: strconv.Itoa(defaultDelay), "stickiness.enabled": "false",
		"load_balancing.cross_zone.enabled":                                              "use_load_balancer_configuration",
		"target_group_health.dns_failover.minimum_healthy_targets.count":                 "1",
		"target_group_health.dns_failover.minimum_healthy_targets.percentage":            "off",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      "1",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
	}
	if protocol == "TCP" {
		maps.Copy(all, map[string]string{
			"stickiness.type": "source_ip", "proxy_protocol_v2.enabled": "false", "preserve_client_ip.enabled": "false",
			"deregistration_delay.connection_termination.enabled":          "false",
			"target_health_state.unhealthy.connection_termination.enabled": "true",
			"target_health_state.unhealthy.draining_interval_seconds":      "0",
		})
		return all
	}
	maps.Copy(all, map[string]string{
		"stickiness.type": "lb_cookie", "stickiness.lb_cookie.duration_seconds": "86400",
		"stickiness.app_cookie.cookie_name": "", "stickiness.app_cookie.duration_seconds": "86400",
		"slow_start.duration_seconds": "0", "load_balancing.algorithm.type": "round_robin",
		"load_balancing.algorithm.anomaly_mitigation": "off",
	})
	return all
}

// setAttributes changes attributes, all or none.
func setAttributes(have map[string]string, given map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		if _, known := have[name]; !known {
			return invalid("Attribute key '%s' is not recognized", name)
		}
		limit := map[string][2]int{DeregistrationDelay: {0, 3600}, idleTimeout: {1, 4000}}[name]
		if limit == [2]int{} {
			continue
		}
		if n, err := strconv.Atoi(value); err != nil || n < limit[0] || n > limit[1] {
			return invalid("'%s' is not a valid value for attribute key '%s'. It must be between %d and %d.", value, name, limit[0], limit[1])
		}
	}
	maps.Copy(have, given)
	return nil
}

// SetAttributes changes attributes of a load balancer or a target group.
func (b *Balancer) SetAttributes(arn string, attributes map[string]string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if lb := b.balancerOf(arn); lb != nil {
		err := setAttributes(lb.Attributes, attributes)
		lb.applyIdle()
		return err
	}
	if g := b.group(arn); g != nil {
		return setAttributes(g.Attributes, attributes)
	}
	return errGroup(arn)
}

func (lb *balancer) applyIdle() {
	seconds, err := strconv.Atoi(lb.Attributes[idleTimeout])
	if err != nil {
		seconds = networkIdle
	}
	lb.idle.set(time.Duration(seconds) * time.Second)
}
