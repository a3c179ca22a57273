package release_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

// A task definition may have the container start a program that another container
// puts into a volume (an agent's wrapper). The image need not have it.
func TestReleaseTakesAProgramThatLiesInAVolume(t *testing.T) {
	started := strings.ReplaceAll(incident, "essential: true", "essential: true, entryPoint: [/shared/wrapper, /app]")
	w := newWorld(t, started, nil)
	w.want(w.release(w.settings("good")), 4, event.Refused, "BINARY_MISMATCH", "27")

	mounted := strings.NewReplacer("essential: true", "essential: true, mountPoints: [{sourceVolume: shared, containerPath: /shared}]",
		"containerDefinitions:", "volumes: [{name: shared}], containerDefinitions:").Replace(started)
	w = newWorld(t, mounted, nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	if s := w.story(); !strings.Contains(s, "/shared/wrapper lies in a volume") {
		t.Errorf("story = %s", s)
	}
}
