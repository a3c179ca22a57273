// Package words turns what events carry into words that are fit to be shown:
// text that others wrote without anything that a terminal could act on, names
// instead of ARNs, durations and sizes for people. Its functions are pure.
package words

import (
	"fmt"
	"strings"
	"time"
)

// Longest is how much of a foreign line is shown.
const Longest = 400

// Stamp is time since the beginning: +mm:ss.
func Stamp(d time.Duration) string {
	s := int(max(d, 0) / time.Second)
	return fmt.Sprintf("+%02d:%02d", s/60, s%60)
}

// Took is a number of seconds for people.
func Took(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	default:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
}

// Name is the part of an ARN that people know it by.
func Name(arn string) string {
	return arn[strings.LastIndexByte(arn, '/')+1:]
}

// ID is as much of a task's id as tells it from others.
func ID(id string) string {
	const length = 8
	if id = Name(id); len(id) > 2*length {
		return id[:length]
	}
	return id
}
