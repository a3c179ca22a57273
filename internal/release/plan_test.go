package release_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestPlanNamesTheCommandsThatRunBeforeTheBuild(t *testing.T) {
	w := newWorld(t, incident, nil)
	s := w.settings("good")
	w.clients.Elsewhere = &faraway{w: w, built: "good"}
	s.Image, s.Tags, s.Before = "", []string{"v9"}, []string{"npm ci", "npm run build"}
	res := w.run(s).Plan(t.Context(), false)
	w.want(res, 0, event.Planned, "", "27")
	for _, command := range s.Before {
		if !w.told("build.before: runs here, before the build: " + command) {
			t.Errorf("the plan does not name %q\n%s", command, w.story())
		}
	}
	w = newWorld(t, incident, nil)
	s = w.settings("good")
	s.Before = []string{"npm ci"}
	if w.want(w.run(s).Plan(t.Context(), false), 0, event.Planned, "", "27"); strings.Contains(w.story(), "npm ci") {
		t.Errorf("the plan of an image that exists names commands of a build\n%s", w.story())
	}
}
