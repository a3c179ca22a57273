package history

import (
	"slices"
	"time"
)

// Usual is how long it takes until a revision serves here: the median of the last
// ten deployments that succeeded. It is 0 when fewer than two are known.
func (l Ledger) Usual() time.Duration {
	const most = 10
	var took []time.Duration
	for _, a := range l.Attempts { // newest first
		if d := a.Finished.Sub(a.Created); a.Succeeded() && !a.Finished.IsZero() && d > 0 && len(took) < most {
			took = append(took, d)
		}
	}
	if len(took) < 2 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}
