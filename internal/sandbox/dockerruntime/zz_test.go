package dockerruntime_test

import (
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

func TestZZ(t *testing.T) {
	b := newBench(t)
	for range 6 {
		began := time.Now()
		r := b.start(spec(b.container("app", tinyelf.Idle())))
		r.next(task.PullStopped)
		p := time.Since(began)
		r.next(task.ContainerStarted)
		s := time.Since(began)
		b.Stop(r.spec.ID)
		r.next(task.ContainerExited)
		x := time.Since(began)
		r.rest()
		t.Log(p, s, x, time.Since(began))
	}
}
