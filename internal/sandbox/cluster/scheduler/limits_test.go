package scheduler

import "testing"

func TestLimits(t *testing.T) {
	for _, c := range []struct{ desired, lower, upper, wantMin, wantMax int }{
		{1, 100, 200, 1, 2},
		{3, 50, 100, 2, 3},  // 1.5 is rounded up
		{3, 50, 150, 2, 4},  // 4.5 is rounded down
		{1, 50, 150, 1, 1},  // 0.5 up, 1.5 down
		{1, 100, 100, 1, 1}, // no room at all
		{1, 0, 100, 0, 1},
		{10, 33, 125, 4, 12},
		{0, 100, 200, 0, 0},
	} {
		l := Limits{MinimumHealthyPercent: c.lower, MaximumPercent: c.upper}
		if gotMin, gotMax := l.MinHealthy(c.desired), l.MaxRunning(c.desired); gotMin != c.wantMin || gotMax != c.wantMax {
			t.Errorf("desired %d with %d/%d: limits are %d to %d, want %d to %d",
				c.desired, c.lower, c.upper, gotMin, gotMax, c.wantMin, c.wantMax)
		}
	}
}

func TestBreaker_Threshold(t *testing.T) {
	for _, c := range []struct {
		breaker       Breaker
		desired, want int
	}{
		{Breaker{}, 1, 3},
		{Breaker{}, 6, 3},
		{Breaker{}, 7, 4},
		{Breaker{}, 25, 13}, // the Developer Guide's examples
		{Breaker{}, 400, 200},
		{Breaker{}, 800, 200},
		{Breaker{Type: ThresholdBounded, Value: 10}, 100, 10},
		{Breaker{Type: ThresholdBounded, Value: 1}, 100, 3},
		{Breaker{Type: ThresholdUnbounded, Value: 10}, 1, 1},
		{Breaker{Type: ThresholdUnbounded, Value: 100}, 800, 800},
		{Breaker{Type: ThresholdUnbounded, Value: 10}, 0, 1},
		{Breaker{Type: ThresholdCount, Value: 1}, 100, 1},
		{Breaker{Type: ThresholdCount, Value: 500}, 1, 500},
	} {
		if got := c.breaker.Threshold(c.desired); got != c.want {
			t.Errorf("threshold of %+v with desired %d is %d, want %d", c.breaker, c.desired, got, c.want)
		}
	}
}
