// Package throttle refuses calls that come too fast, as AWS does: by token buckets,
// one for each kind of calls, for the account as a whole.
//
// [Limits] knows the buckets of a region. Their time is real and is not divided by
// the sandbox's speed: what a client does is as fast here as on AWS.
package throttle

import "time"

// Rate is how large a bucket is and how fast it is filled.
type Rate struct {
	Burst  float64 // tokens in a full bucket
	Refill float64 // tokens a second
}

// bucket is how many tokens there were at a time. The zero bucket is full.
type bucket struct {
	tokens float64
	at     time.Time
}

// take is what becomes of a bucket that a call wants a token of, and whether it
// gets one.
func (r Rate) take(b bucket, now time.Time) (after bucket, ok bool) {
	tokens := r.Burst
	if !b.at.IsZero() {
		tokens = min(r.Burst, b.tokens+r.Refill*max(0, now.Sub(b.at).Seconds()))
	}
	if tokens < 1 {
		return bucket{tokens, now}, false
	}
	return bucket{tokens - 1, now}, true
}
