package sandbox

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/sandbox/page"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

// paused is a seed with a service whose deployments wait for somebody.
const paused = `
clusters: [{name: c}]
repositories: [{name: app, images: [{name: one, tags: [v1], builtin: {program: serve}}]}]
taskDefinitions:
  - {family: app, revision: 1, definition: {containerDefinitions: [{name: app, image: "${REGISTRY}/app:v1", memory: 64}]}}
services:
  - cluster: c
    name: web
    family: app
    desiredCount: 1
    settings: {deploymentConfiguration: {lifecycleHooks: [{targetType: PAUSE, lifecycleStages: [PRE_SCALE_UP]}]}}
    deployments:
      - {revision: 1, outcome: SUCCESSFUL, createdAt: -3h, finishedAt: -2h, digests: {app: one}, events: [has started 1 tasks.]}
      - {revision: 1, outcome: SUCCESSFUL, createdAt: -1h, digests: {app: one}, events: [has reached a steady state.]}
`

func TestPage_answersAPauseAndRefusesSlowHealthOfUncheckedTasks(t *testing.T) {
	from, err := seed.Parse("seed.yaml", []byte(paused))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, Config{Seed: from})
	v := view{w.Server, ""}
	detail := func() page.Detail {
		d, _ := v.Service("c", "web")
		return d
	}
	for i, e := range detail().Events[1:] {
		if e.At.After(detail().Events[i].At) {
			t.Errorf("the event %q stands before a newer one", e.Text)
		}
	}
	waiting := func() string {
		all := detail().Attempts
		if hooks := all[len(all)-1].Hooks; len(hooks) == 1 {
			return hooks[0].ID
		}
		return ""
	}
	status := func() string {
		all := detail().Attempts
		return all[len(all)-1].Status
	}
	press(t, w, page.DoDeploy)
	await(t, "the pause", func() bool { return waiting() != "" })
	if _, html := browse(t, w, "/", nil); !strings.Contains(html, "1 waits for you") || !strings.Contains(html, "then ROLLBACK") {
		t.Error("the page does not show the pause")
	}
	press(t, w, page.DoContinue, "hook", waiting())
	await(t, "the deployment to go on to its end", func() bool { return status() == "SUCCESSFUL" })
	press(t, w, page.DoDeploy)
	await(t, "the next pause", func() bool { return waiting() != "" })
	press(t, w, page.DoHookBack, "hook", waiting())
	await(t, "the rollback", func() bool { return strings.HasPrefix(status(), "ROLLBACK") })
	code, text := browse(t, w, "/_sandbox/press", url.Values{"do": {page.DoSlowHealth}, "cluster": {"c"}, "name": {"web"}})
	if code != http.StatusConflict || text != "Its containers have no health check that could be slow.\n" || len(w.faults.List()) > 0 {
		t.Errorf("slow health checks where there are none are answered with %d %q", code, text)
	}
}
