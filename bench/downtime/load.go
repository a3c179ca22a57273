package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// count is what became of the requests of one kind.
type count struct {
	requests, failed int
	causes           map[string]int
	latencies        vegeta.LatencyMetrics
}

// add counts one answer.
func (c *count) add(r *vegeta.Result) {
	c.requests++
	c.latencies.Add(r.Latency)
	if r.Code == 200 {
		return
	}
	c.failed++
	if c.causes == nil {
		c.causes = make(map[string]int)
	}
	c.causes[cause(r)]++
}

// cause says who lost a request: an answer of the load balancer, or none at all.
func cause(r *vegeta.Result) string {
	if r.Code != 0 {
		return fmt.Sprintf("%d from the load balancer", r.Code)
	}
	for _, known := range []string{"connection refused", "connection reset", "EOF", "Timeout", "deadline"} {
		if strings.Contains(r.Error, known) {
			return "no answer: " + known
		}
	}
	return "no answer: " + r.Error
}

// words are the causes, most frequent first.
func (c *count) words() string {
	var list []string
	for _, k := range slices.SortedFunc(maps.Keys(c.causes), func(a, b string) int { return c.causes[b] - c.causes[a] }) {
		list = append(list, fmt.Sprintf("%d × %s", c.causes[k], k))
	}
	return strings.Join(list, ", ")
}

const (
	longest = 3 * time.Minute  // that a load lasts
	lost    = 30 * time.Second // after which no answer is waited for any more; before, it is slow
)

// under loads an address, with requests that neither Go's client nor a proxy sends
// again when a connection breaks, until what it runs beside is done, and a moment longer.
func (c *count) under(ctx context.Context, address string, rate int, do func(context.Context) error) error {
	targets := make([]vegeta.Target, 5)
	for i := range targets {
		targets[i] = vegeta.Target{Method: "POST", URL: "http://" + address + "/"}
	}
	targets[len(targets)-1].URL += "slow"
	attacker := vegeta.NewAttacker(vegeta.Timeout(lost), vegeta.MaxWorkers(64), vegeta.Redirects(vegeta.NoFollow))
	defer attacker.Stop()
	done := make(chan error, 1)
	go func() {
		err := do(ctx)
		moment(ctx)
		attacker.Stop()
		done <- err
	}()
	for r := range attacker.Attack(vegeta.NewStaticTargeter(targets...), vegeta.Rate{Freq: rate, Per: time.Second}, longest, "") {
		c.add(r)
	}
	return <-done
}

// moment lets old tasks end and be missed.
func moment(ctx context.Context) {
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
