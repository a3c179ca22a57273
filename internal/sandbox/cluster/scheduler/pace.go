package scheduler

import "time"

// Pace holds the waiting times of AWS's control plane. They are the ones that
// the sandbox shortens; what a real process has to meet (stopTimeout, health
// check timeouts, grace periods) is never here.
type Pace struct {
	Provision   time.Duration // PROVISIONING: a network interface is attached
	PullRetries time.Duration // a pull that fails is repeated for that long before the task fails
	Deactivate  time.Duration // DEACTIVATING: before the containers get their stop signal
	Deprovision time.Duration // DEPROVISIONING: the network interface is detached
	Healthy     time.Duration // RUNNING without a health check counts as healthy after that
	CrashPace   time.Duration // from the creation of a task that crashed to that of its replacement
	Steady      time.Duration // between two events that say that nothing happens
	Place       time.Duration // between two attempts to place a task for which there is no capacity
	Request     time.Duration // from …_REQUESTED of a service deployment to what was requested
	Stage       time.Duration // a lifecycle stage lasts at least that long
	Alarms      time.Duration // between two looks at CloudWatch alarms

	// throttle is the pause after the n-th round of tasks in a row that
	// stopped without reaching RUNNING; the last one repeats.
	throttle []time.Duration

	speed float64
}

// Of returns a time that a configuration gives, such as a bake time, divided by
// the speed.
func (p Pace) Of(d time.Duration) time.Duration {
	if p.speed <= 0 {
		return d
	}
	return time.Duration(float64(d) / p.speed)
}

// Retention is how long a stopped task can be described (DescribeTasks: "at
// least one hour"). It is not divided by the speed.
const Retention = time.Hour

// PaceFor returns AWS's waiting times divided by speed; a speed of 0 or less
// counts as 1. The 40 s of Healthy and the limit of 27 minutes are documented
// (DeploymentConfiguration; "service throttle logic"). The others fit reports
// of services on Fargate with one task: crashes 51 s apart, failed pulls
// after 2:34, 4:46 and 11:00 minutes.
func PaceFor(speed float64) Pace {
	if speed <= 0 {
		speed = 1
	}
	by := func(d time.Duration) time.Duration { return time.Duration(float64(d) / speed) }
	p := Pace{
		Provision:   by(15 * time.Second),
		PullRetries: by(100 * time.Second),
		Deactivate:  by(2 * time.Second),
		Deprovision: by(15 * time.Second),
		Healthy:     by(40 * time.Second),
		CrashPace:   by(51 * time.Second),
		Steady:      by(6 * time.Hour),
		Place:       by(time.Minute),
		Request:     by(5 * time.Second),
		Stage:       by(5 * time.Second),
		Alarms:      by(10 * time.Second),
		speed:       speed,
	}
	for _, d := range []time.Duration{0, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 27 * time.Minute} {
		p.throttle = append(p.throttle, by(d))
	}
	return p
}

// Throttle returns the pause after the given round of failures, from 1.
func (p Pace) Throttle(round int) time.Duration {
	if round < 1 || len(p.throttle) == 0 {
		return 0
	}
	return p.throttle[min(round, len(p.throttle))-1]
}
