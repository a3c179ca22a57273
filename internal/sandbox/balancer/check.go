package balancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// verdict is the outcome of one health check.
type verdict struct {
	ok                  bool
	reason, description string
}

func failed(reason string) verdict { return verdict{reason: reason, description: descriptions[reason]} }

// note takes a check's outcome into account: one success makes a new target
// healthy, and otherwise the thresholds decide. It reports whether the state
// changed.
func (t *target) note(v verdict, c HealthCheck) bool {
	switch {
	case t.state == Initial && v.ok:
	case t.state == Unhealthy && v.ok:
		if t.streak++; t.streak < c.Healthy {
			return false
		}
	case (t.state == Initial || t.state == Healthy) && !v.ok:
		if t.streak++; t.streak < c.Unhealthy {
			return false
		}
		t.state, t.streak = Unhealthy, 0
		t.reason, t.description = v.reason, v.description
		return true
	case t.state == Unhealthy: // the latest reason counts
		t.streak, t.reason, t.description = 0, v.reason, v.description
		return false
	default:
		t.streak = 0
		return false
	}
	t.set(Healthy, "")
	return true
}

// watch checks a target until it is deregistered.
func (b *Balancer) watch(g *group, t *target) {
	timer := time.NewTimer(b.firstPause(g))
	defer timer.Stop()
	for settled := false; ; {
		select {
		case <-timer.C:
			settled = true
		case <-t.wake:
			if !settled {
				continue
			}
		case <-t.gone:
			return
		case <-b.ctx.Done():
			return
		}
		b.look(g, t)
		b.mu.Lock()
		pause := b.divided(time.Duration(g.Check.Interval) * time.Second)
		b.mu.Unlock()
		timer.Reset(max(pause, minPause))
	}
}

// firstPause is how long a new target is let alone: one interval, whatever the
// speed no shorter than a process needs that dies at once. One check makes it
// healthy ("after your target is registered, it must pass one health check to be
// considered healthy", User Guide for Application Load Balancers), and on AWS
// nothing is checked that soon after its start.
func (b *Balancer) firstPause(g *group) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.divided(time.Duration(g.Check.Interval)*time.Second), b.cfg.Settle)
}

// minPause keeps a high speed from turning checks into a load.
const minPause = 20 * time.Millisecond

// look checks a target once, if it is to be checked.
func (b *Balancer) look(g *group, t *target) {
	b.mu.Lock()
	state, check := t.state, g.Check
	address := t.address(g.checkPort(t))
	b.mu.Unlock()
	if state == Unused || state == Draining || state == Unavailable {
		return
	}
	v := failed("Target.FailedHealthChecks")
	if address != "" {
		v = b.probe(check, address)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.state != state || b.ctx.Err() != nil {
		return // deregistered in the meantime
	}
	if t.note(v, check) {
		b.changed(g.ARN)
	}
}

// probe makes one check.
func (b *Balancer) probe(c HealthCheck, address string) verdict {
	scheme := strings.ToLower(c.Protocol)
	ctx, cancel := context.WithTimeout(b.ctx, time.Duration(c.Timeout)*time.Second)
	defer cancel()
	if scheme == "tcp" {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return unreachable(err)
		}
		_ = conn.Close() // it was only to be opened
		return verdict{ok: true}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+c.Path, nil)
	if err != nil {
		return failed("Target.FailedHealthChecks")
	}
	req.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	resp, err := b.checks.Do(req)
	if err != nil {
		return unreachable(err)
	}
	_ = resp.Body.Close() // only the status counts
	if !matches(c.Matcher, resp.StatusCode) {
		return verdict{
			reason:      "Target.ResponseCodeMismatch",
			description: fmt.Sprintf("Health checks failed with these codes: [%d]", resp.StatusCode),
		}
	}
	return verdict{ok: true}
}

func unreachable(err error) verdict {
	if timedOut(err) {
		return failed("Target.Timeout")
	}
	return failed("Target.FailedHealthChecks")
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// checkClient makes checks: each on a connection of its own, certificates are not
// looked at, and redirects not followed, as a load balancer does.
func checkClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxHeader,
			TLSClientConfig:        unverified(),
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// unverified is TLS to targets: a load balancer does not verify their certificates.
func unverified() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true} // #nosec G402 -- targets on loopback, as ELB
}

// matches says whether a status is one of a matcher's: "200", "200-399" or a list.
func matches(matcher string, status int) bool {
	for _, part := range strings.Split(matcher, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.Atoi(low)
		to := from
		if err == nil && isRange {
			to, err = strconv.Atoi(high)
		}
		if err == nil && from <= status && status <= to {
			return true
		}
	}
	return false
}
