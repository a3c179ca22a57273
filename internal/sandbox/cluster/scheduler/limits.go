package scheduler

// Limits say how far a rolling deployment may go below and above the desired
// count (DeploymentConfiguration).
type Limits struct {
	MinimumHealthyPercent int
	MaximumPercent        int
}

// MinHealthy is the lower limit of healthy tasks: the percentage of desired,
// rounded up.
func (l Limits) MinHealthy(desired int) int {
	return (desired*l.MinimumHealthyPercent + 99) / 100
}

// MaxRunning is the upper limit of tasks that run or are about to: the
// percentage of desired, rounded down.
func (l Limits) MaxRunning(desired int) int {
	return desired * l.MaximumPercent / 100
}

// Types of a breaker's threshold (ThresholdType).
const (
	ThresholdCount     = "COUNT"
	ThresholdBounded   = "BOUNDED_PERCENT"
	ThresholdUnbounded = "UNBOUNDED_PERCENT"
)

// Breaker is the deployment circuit breaker's configuration.
type Breaker struct {
	Enable   bool
	Rollback bool

	// KeepCount says that a task that becomes healthy does not set the
	// failure count back (resetOnHealthyTask false).
	KeepCount bool

	Type  string // empty: ThresholdBounded
	Value int    // 0: 50
}

// Bounds of a ThresholdBounded threshold.
const (
	boundedMin = 3
	boundedMax = 200
)

// Threshold is the number of failed tasks at which the breaker opens, for the
// service's present desired count. It is at least 1.
func (b Breaker) Threshold(desired int) int {
	value := b.Value
	if value == 0 {
		value = 50
	}
	percent := (desired*value + 99) / 100
	switch b.Type {
	case ThresholdCount:
		return max(value, 1)
	case ThresholdUnbounded:
		return max(percent, 1)
	default:
		return min(max(percent, boundedMin), boundedMax)
	}
}
