package output

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// beats remembers heartbeats.
type beats struct {
	mu   sync.Mutex
	list []string
}

func (b *beats) Emit(r event.Record) {
	if h, ok := r.Event.(event.Heartbeat); ok {
		b.mu.Lock()
		b.list = append(b.list, r.Stage+" "+h.Text+" "+words.Took(h.Seconds))
		b.mu.Unlock()
	}
}

func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got beats
		pulse := &Pulse{}
		stream := event.NewStream(nil, pulse, &got)
		go pulse.Run(ctx, stream)

		wait := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		wait(2 * time.Minute) // nothing began: nothing to say
		stream.In("build")(event.Stage{Name: "build", Status: event.Started})
		wait(29 * time.Second)
		stream.In("build")(event.Build{Step: "RUN npm ci", Status: event.Started})
		wait(61 * time.Second)
		stream.In("build")(event.Build{Step: "RUN npm ci", Status: event.Done})
		wait(31 * time.Second)
		stream.In("build")(event.Stage{Name: "build", Status: event.Done})
		wait(2 * time.Minute)

		want := []string{"build still running: RUN npm ci 59s", "build still running: RUN npm ci 1m29s", "build build is still running 2m00s"}
		if d := cmp.Diff(want, got.list); d != "" {
			t.Errorf("heartbeats (-want +got):\n%s", d)
		}
	})
}
