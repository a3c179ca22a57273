package release_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

// alarmed is the incident with a service whose deployments a CloudWatch alarm ends.
var alarmed = "alarms: [{name: web-5xx}, {name: any, rule: ALARM(web-5xx)}]\n" + strings.Replace(incident,
	"settings: {deploymentConfiguration: {", "settings: {deploymentConfiguration: {alarms: {alarmNames: [any], enable: true, rollback: true}, ", 1)

// TestReleaseNamesTheAlarmThatEndedIt has a real alarm go off a moment after the
// deployment began: a composite one, by the alarm that it follows.
func TestReleaseNamesTheAlarmThatEndedIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alarmed, nil)
	w.fault(`{"when":"UpdateService","alarm":"web-5xx","state":"ALARM","in":"100ms"}`)
	res := w.release(w.settings("good"))
	w.want(res, 3, event.RolledBack, event.CodeECSRolledBack, "27")
	if f := res.Failure; f == nil || len(f.Also) != 1 || f.Also[0].Code != event.CodeAlarm || !strings.Contains(f.Message, "the CloudWatch alarm any went off") || !strings.Contains(strings.Join(f.Hints, "\n"), "describe-alarm-history --alarm-name any") {
		t.Errorf("failure is %+v", f)
	}
}
