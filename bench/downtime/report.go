package main

import (
	"fmt"
	"io"
	"time"
)

// report prints what was lost, and says whether nothing was where nothing may be.
func report(w io.Writer, counts [][]count) bool {
	met := true
	fmt.Fprintf(w, "%-30s%-16s%10s%8s%10s%10s%14s\n", "application", "meanwhile", "requests", "lost", "p50", "p99", "p99 / nothing")
	for i, a := range applications {
		for j, kind := range kinds {
			c := &counts[i][j]
			p99, base := c.latencies.Quantile(0.99), counts[i][0].latencies.Quantile(0.99)
			fmt.Fprintf(w, "%-30s%-16s%10d%8d%10s%10s%14.2f\n", a.name, kind, c.requests, c.failed, short(c.latencies.Quantile(0.5)), short(p99), float64(p99)/float64(max(base, 1)))
			if c.failed > 0 {
				fmt.Fprintf(w, "%-30s%-16s%s\n", "", "", c.words())
			}
			met = met && (!a.good || c.failed == 0)
		}
	}
	verdict := "met"
	if !met {
		verdict = "MISSED"
	}
	fmt.Fprintf(w, "no request lost where targets are drained: %s\n", verdict)
	return met
}

func short(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
