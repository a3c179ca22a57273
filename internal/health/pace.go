package health

import (
	"math/rand/v2"
	"time"
)

// Pace says how often a Watcher asks what. Zero fields take the defaults: at
// most 90 calls a minute in the first two minutes of a service's tasks, 45
// afterwards, 20 in bake; ECS allows 20 reads a second for an account (Request
// throttling, ECS API reference).
type Pace struct {
	Early, Later, Bake Rhythm
	EarlyFor           time.Duration // how long Early lasts after the first task of ours was seen

	Heartbeat time.Duration // silence after which a heartbeat is told
	Settle    time.Duration // how long ECS may take to show a deployment that it has accepted
	Call      time.Duration // bound of one call
	Logs      time.Duration // bound of reading one container's last lines
	GiveUp    time.Duration // how long refused credentials or permissions are tried again
	Throttled int           // how many times slower throttling can make the polling

	// Jitter gives numbers in [0, 1) to spread calls with when AWS throttles.
	Jitter func() float64
}

// Rhythm is the time between two calls of a kind.
type Rhythm struct {
	Stopped    time.Duration // ListTasks of stopped tasks, the sentinel
	Service    time.Duration // DescribeServices
	Deployment time.Duration // DescribeServiceDeployments
	Tasks      time.Duration // DescribeTasks of unfinished tasks, besides changes
	// Spare is the time in which one call more than those of the sentinel is
	// allowed, whatever happens. By default it goes with Service.
	Spare time.Duration
}

func (p Pace) withDefaults() Pace {
	p.Early = p.Early.or(Rhythm{time.Second, 5 * time.Second, 15 * time.Second, 10 * time.Second, 2500 * time.Millisecond})
	p.Later = p.Later.or(Rhythm{2 * time.Second, 8 * time.Second, 40 * time.Second, 40 * time.Second, 5 * time.Second})
	p.Bake = p.Bake.or(Rhythm{5 * time.Second, 10 * time.Second, 60 * time.Second, 60 * time.Second, 10 * time.Second})
	p.EarlyFor = or(p.EarlyFor, 2*time.Minute)
	p.Heartbeat = or(p.Heartbeat, 30*time.Second)
	p.Settle = or(p.Settle, 15*time.Second)
	p.Call = or(p.Call, 10*time.Second)
	p.Logs = or(p.Logs, 3*time.Second)
	p.GiveUp = or(p.GiveUp, 30*time.Second)
	if p.Throttled <= 0 {
		p.Throttled = 8
	}
	if p.Jitter == nil {
		p.Jitter = rand.Float64
	}
	return p
}

func (r Rhythm) or(d Rhythm) Rhythm {
	if r.Service > 0 {
		d.Spare = time.Duration(float64(d.Spare) * float64(r.Service) / float64(d.Service))
	}
	return Rhythm{or(r.Stopped, d.Stopped), or(r.Service, d.Service), or(r.Deployment, d.Deployment), or(r.Tasks, d.Tasks), or(r.Spare, d.Spare)}
}

func or(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// clock guesses the time on AWS's clock from the timestamps in its answers. No
// timestamp lies in AWS's future, so the smallest lag that was seen between an
// answer's arrival and its newest timestamp is the best guess.
type clock struct {
	lag   time.Duration
	known bool
}

func (c *clock) see(arrived time.Time, stamps ...*time.Time) {
	for _, s := range stamps {
		if s == nil || s.IsZero() {
			continue
		}
		if lag := arrived.Sub(*s); !c.known || lag < c.lag {
			c.lag, c.known = lag, true
		}
	}
}

// at is a moment of this machine on AWS's clock.
func (c *clock) at(local time.Time) time.Time { return local.Add(-c.lag) }
