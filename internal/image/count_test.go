package image

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// Who draws a push gets its bytes, at most twice a second.
func TestProgressTellsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got [][2]int64
		p := newProgress("push x", func(e event.Event) {
			if b, ok := e.(event.Build); ok && b.Bytes > 0 {
				if b.Line != "" || b.Status != "" {
					t.Errorf("the event %+v tells bytes and something else", b)
				}
				got = append(got, [2]int64{b.Bytes, b.TotalBytes})
			}
		})
		p.tell(engine.PushProgress{Layer: "a", Status: "Preparing"})
		for i := range 20 {
			p.tell(engine.PushProgress{Layer: "a", Status: "Pushing", Current: int64(i+1) * 100, Total: 2000})
			time.Sleep(100 * time.Millisecond)
		}
		want := [][2]int64{{100, 2000}, {600, 2000}, {1100, 2000}, {1600, 2000}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("bytes (-want +got):\n%s", d)
		}
	})
}
