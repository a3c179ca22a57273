package task

import (
	"slices"
	"time"
)

// Restart is a restart policy that is enabled.
type Restart struct {
	Ignored []int // exit codes after which the container stays down
	// Period is how long the container must have run, since its start or its
	// last restart. One that ends earlier stays down.
	Period time.Duration
}

// Again reports whether a container is started again that ran so long and ended
// with this code, nil when nobody knows it.
func (r *Restart) Again(code *int, ran time.Duration) bool {
	return r != nil && code != nil && !slices.Contains(r.Ignored, *code) && ran >= r.Period
}
