package dockerruntime

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrain_WaitsAsLongAsLinesCome(t *testing.T) {
	for name, c := range map[string]struct {
		every, until time.Duration // lines come, and then the log has been told or not
		told         bool
		want         time.Duration
	}{
		"a log that is told":            {0, time.Second, true, time.Second},
		"lines that go on for a minute": {time.Second, time.Minute, true, time.Minute},
		"nothing comes":                 {0, time.Hour, false, logDrain},
		"lines stop and no end is told": {time.Second, 7 * time.Second, false, 3 * logDrain},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lines atomic.Int64
				logged := make(chan struct{})
				began := time.Now()
				var writer sync.WaitGroup
				writer.Go(func() {
					for c.every > 0 && time.Since(began) < c.until {
						time.Sleep(c.every)
						lines.Add(1)
					}
					time.Sleep(c.until - time.Since(began))
					if c.told {
						close(logged)
					}
				})
				drain(logged, &lines)
				if took := time.Since(began); took != c.want {
					t.Errorf("drained for %s, want %s", took, c.want)
				}
				writer.Wait()
			})
		})
	}
}
