package history

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func TestUsual(t *testing.T) {
	start := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	attempt := func(status types.ServiceDeploymentStatus, took time.Duration) Attempt {
		a := Attempt{Status: status, Created: start}
		if took != 0 {
			a.Finished = start.Add(took)
		}
		return a
	}
	good := types.ServiceDeploymentStatusSuccessful
	var many []Attempt
	for i := range 1000 {
		many = append(many, attempt(good, time.Duration(i+1)*time.Second))
	}
	for name, c := range map[string]struct {
		attempts []Attempt
		want     time.Duration
	}{
		"no history is not known":        {nil, 0},
		"one deployment is no habit":     {[]Attempt{attempt(good, time.Minute)}, 0},
		"the median, not the mean":       {[]Attempt{attempt(good, time.Minute), attempt(good, time.Hour), attempt(good, 2*time.Minute)}, 2 * time.Minute},
		"failures do not count":          {[]Attempt{attempt(good, time.Minute), attempt(types.ServiceDeploymentStatusRollbackSuccessful, time.Second), attempt(good, time.Minute)}, time.Minute},
		"one under way does not count":   {[]Attempt{attempt(types.ServiceDeploymentStatusInProgress, 0), attempt(good, time.Minute), attempt(good, time.Minute)}, time.Minute},
		"a clock that runs back is none": {[]Attempt{attempt(good, -time.Minute), attempt(good, time.Minute)}, 0},
		"only the last ten":              {many, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Ledger{Attempts: c.attempts}).Usual(); got != c.want {
				t.Errorf("Usual() = %s, want %s", got, c.want)
			}
		})
	}
}
