package health

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// run is one watch: what it has seen, and the loop that asks for more. Only the
// loop's goroutine touches it; calls run beside it and hand their answers over.
type run struct {
	w     *Watcher
	pace  Pace
	scope scope
	// judge looks at what was seen and says whether the watch is over. It must not
	// block; it asks to be called again by wake.
	judge func(now time.Time) (Verdict, bool)
	// awaited says in a few words what the watch waits for.
	awaited func(now time.Time) string

	answers                                            chan answer
	sources                                            []*source
	stopped, service, deployment, tasks, running, logs *source

	began     time.Time
	alarm     time.Time // when judge wants to look again
	spoke     time.Time // when something was told last
	spare     allowance
	slow      int // how many times slower than the pace; 1 is normal
	slowSince time.Time
	clock     clock
	baking    bool
	firstTask time.Time // when the first task of ours was seen

	svc      service
	own      types.ServiceDeployment // our service deployment; its ARN is nil until it was read
	fleet    fleet
	tally    tally
	once     map[string]bool // what was told and is not told again
	progress progress
}

// scope is what a watch looks at.
type scope struct {
	cluster, serviceName string
	// id is the deployment that is ours; empty for a rollback of ECS's own.
	id             string
	taskDefinition string
	created        time.Time // AWS's clock; nothing older is ours
	previous       string
	definition     Definition
	// serviceDeployment is the ARN of ours, where it is known from the start.
	serviceDeployment string
	judged            bool // stopped tasks decide; otherwise they are only told
	timeout           time.Duration
}

func newRun(w *Watcher, sc scope) *run {
	now := time.Now()
	r := &run{w: w, pace: w.Pace.withDefaults(), scope: sc, slow: 1, began: now, spoke: now, fleet: newFleet(), progress: newProgress(now)}
	r.svc.id, r.once = sc.id, map[string]bool{}
	r.tally.elsewhere = r.soundElsewhere
	r.addSources()
	r.answers = make(chan answer, len(r.sources))
	return r
}

// loop asks, takes answers in and judges, until the watch is over.
func (r *run) loop(ctx context.Context) (Verdict, error) {
	calls, stop := context.WithCancel(ctx)
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		if ctx.Err() != nil {
			return r.standing(), context.Cause(ctx)
		}
		r.alarm = time.Time{}
		r.hold(now)
		if v, over := r.judge(now); over {
			return v, nil
		}
		if err := r.lost(now); err != nil {
			return r.standing(), err
		}
		r.beat(now)
		r.launch(calls, now)
		timer.Reset(r.next(now))
		select {
		case <-ctx.Done():
		case a := <-r.answers:
			r.take(a)
		case <-timer.C:
		}
	}
}

// emit tells something and ends the silence.
func (r *run) emit(e event.Event) {
	r.spoke = time.Now()
	if r.w.Emit != nil {
		r.w.Emit(e)
	}
}

// beat tells what is awaited when nothing was told for a while.
func (r *run) beat(now time.Time) {
	if now.Sub(r.spoke) >= r.pace.Heartbeat {
		r.emit(event.Heartbeat{Text: r.awaited(now), Seconds: now.Sub(r.began).Round(time.Second).Seconds()})
	}
	r.wake(r.spoke.Add(r.pace.Heartbeat))
}

// standing is how things stand, without an outcome.
func (r *run) standing() Verdict {
	v := Verdict{HealthySeen: r.fleet.healthy, ServiceDeployment: str(r.own.ServiceDeploymentArn)}
	if d := r.svc.ours(); d != nil {
		v.Desired, v.Running = int(d.DesiredCount), int(d.RunningCount)
	}
	return v
}
