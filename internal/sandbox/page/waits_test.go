package page

import (
	"strings"
	"testing"
)

func TestPage_saysWhatADeploymentWaitsFor(t *testing.T) {
	w := incident()
	d := w.details["weelocluster/web"]
	d.Attempts = append(d.Attempts, Attempt{Status: "IN_PROGRESS", Revision: "web:38", Stage: "POST_SCALE_UP", Hooks: []Hook{
		{ID: "ecs-pause-1", Until: after(600), Then: "ROLLBACK"},
		{ID: "ecs-lambda-2", Target: "arn:aws:lambda:us-east-1:0:function:approve", Until: after(60), Then: "CONTINUE"},
	}})
	w.details["weelocluster/web"] = d
	page := draw(t, w, look{})
	_, page, _ = strings.Cut(page, `class="waits"`)
	page, _, _ = strings.Cut(page, `class="acts"`)
	for _, want := range []string{
		"38 waits for you</b> at ", ">POST_SCALE_UP<", ", until <time", ">09:24:00</time>, then ROLLBACK</p>",
		`name="hook" value="ecs-pause-1"`, `value="continue"`, `value="hook-back"`,
		"38 waits for arn:aws:lambda:us-east-1:0:function:approve</b>", ", then CONTINUE</p>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %s in %s", want, page)
		}
	}
	if n := strings.Count(page, "<button"); n != 2 {
		t.Errorf("%d buttons, want two: a function is answered by nobody", n)
	}
}

func TestTasks_onTheirWayOutAreNotAmongTheStopped(t *testing.T) {
	w := incident()
	d := w.details["weelocluster/web"]
	leaving := d.Tasks[1]
	leaving.ID, leaving.Status, leaving.Live = "leaving", "DEACTIVATING", false
	d.Tasks = append(d.Tasks, leaving)
	w.details["weelocluster/web"] = d
	page := draw(t, w, look{})
	last := -1
	for _, want := range []string{`id="t-503b`, ">Stopping<", `id="t-leaving"`, ">Stopped<", `id="t-6891`} {
		at := strings.Index(page, want)
		if at <= last {
			t.Errorf("%s is not where it belongs", want)
		}
		last = at
	}
}

func TestStop_ofADeploymentThatWentWellIsJudgedByItsTasks(t *testing.T) {
	crashed := []Task{{Revision: "w:37", Status: "RUNNING", Live: true}, {Revision: "w:37", Status: "STOPPED", Failed: true}}
	for _, c := range []struct {
		svc   Service
		tasks []Task
		tone  tone
		word  string
	}{
		{Service{Desired: 1, Running: 1}, crashed, good, "deployed"},
		{Service{Desired: 1}, crashed, bad, "tasks fail"},
		{Service{Desired: 1, Failed: 2}, nil, bad, "tasks fail"},
		{Service{Desired: 1}, nil, warn, "short of tasks"},
		{Service{Desired: 1}, []Task{{Revision: "w:36", Status: "STOPPED", Failed: true}}, warn, "short of tasks"},
	} {
		s := stop{Revision: "w:37", Word: "deployed", Tone: good}
		if s.judge(c.svc, c.tasks); s.Tone != c.tone || s.Word != c.word {
			t.Errorf("of %+v it is %s %q, want %s %q", c.svc, s.Tone, s.Word, c.tone, c.word)
		}
	}
}

func TestNames_breakBetweenTheirWords(t *testing.T) {
	var b strings.Builder
	if err := words("UpdateService").Render(&b); err != nil || b.String() != "Update<wbr>Service" {
		t.Errorf("it is %q, %v", b.String(), err)
	}
}
