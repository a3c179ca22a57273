package main

import (
	"fmt"
	"io"
	"time"
)

// The goals.
const (
	rollbackWithin = 1500 * time.Millisecond
	timesFaster    = 3.0
)

// report prints the cases side by side, and says whether the goals are met.
func report(w io.Writer, took [][]times) bool {
	met := true
	fmt.Fprintf(w, "%-20s%-28s%14s%14s\n", "", "", "to rollback", "to healthy")
	for i, c := range cases {
		for j, s := range sides {
			t := took[i][j]
			fmt.Fprintf(w, "%-20s%-28s%14.2f%14.2f\n", c.name, s.name, t.rollback.Sub(t.stopped).Seconds(), t.healthy.Sub(t.stopped).Seconds())
		}
		met = verdict(w, took[i]) && met
	}
	return met
}

func verdict(w io.Writer, took []times) bool {
	a, b := took[ours], took[byDefault]
	called := a.rollback.Sub(a.stopped)
	faster := b.healthy.Sub(b.stopped).Seconds() / a.healthy.Sub(a.stopped).Seconds()
	fmt.Fprintf(w, "%-20srollback called within %s: %s; healthy %.1f times faster than the default breaker (goal %.0f): %s\n",
		"", rollbackWithin, word(called <= rollbackWithin), faster, timesFaster, word(faster >= timesFaster))
	return called <= rollbackWithin && faster >= timesFaster
}

func word(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}
