package scheduler

import (
	"slices"
	"testing"
	"time"
)

func alarmed(p Plan, names ...string) Plan {
	p.Alarms, p.AlarmsRollBack = names, true
	return p
}

func TestStep_an_alarm_rolls_back(t *testing.T) {
	for name, p := range map[string]Plan{
		"rolling, in the bake": {Strategy: Rolling, Bake: 5 * time.Minute},
		"blue/green":           plan(BlueGreen, 0, 0),
		"canary":               plan(Canary, 5, 10*time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			m := serveWith(t, 1, alarmed(p, "errors", "latency"))
			m.alarms["errors"], m.alarms["latency"] = "OK", "INSUFFICIENT_DATA"
			sd := m.deploy("b", behaviour{})
			m.run(4 * time.Minute)
			m.wantStatus(sd, SDInProgress)
			if sd.Alarms.Status != MonitorWatching {
				t.Errorf("alarms are %s", sd.Alarms.Status)
			}
			before := len(m.s.Events)
			m.alarms["latency"] = "ALARM"
			m.run(11 * time.Second) // ECS looks every ten
			if got := m.events()[before:]; got[0] != "(deployment b) deployment failed: alarm detected." || got[1] != "rolling back to deployment a." {
				t.Errorf("events are %q", got)
			}
			m.run(10 * time.Minute)
			m.want("a COMPLETED 1/1")
			m.wantStatus(sd, SDRollbackSuccessful)
			if sd.Alarms.Status != MonitorTriggered || !slices.Equal(sd.Alarms.Triggered, []string{"latency"}) {
				t.Errorf("alarms are %+v, want latency TRIGGERED", sd.Alarms)
			}
		})
	}
}

func TestStep_an_alarm_without_rollback_stops_the_deployment(t *testing.T) {
	p := alarmed(plan(BlueGreen, 0, 0), "errors")
	p.AlarmsRollBack = false
	m := serveWith(t, 1, p)
	sd := m.deploy("b", behaviour{})
	m.run(time.Minute)
	m.alarms["errors"] = "ALARM"
	m.run(time.Minute)
	m.wantStatus(sd, SDStopped)
	if got := m.s.Deployments[0]; got.ID != "b" || got.Rollout != Failed {
		t.Errorf("deployments are %s, want b FAILED", m.state())
	}
}

func TestStep_an_alarm_that_was_there_before_is_ignored(t *testing.T) {
	m := serveWith(t, 1, alarmed(Plan{Bake: time.Minute}, "errors", "latency"))
	m.alarms["errors"] = "ALARM"
	sd := m.deploy("b", behaviour{})
	m.run(time.Minute)
	m.alarms["latency"] = "ALARM"
	m.run(time.Hour)
	m.want("b COMPLETED 1/1")
	m.wantStatus(sd, SDSuccessful)
	if sd.Alarms.Status != MonitorDisabled {
		t.Errorf("alarms are %s, want DISABLED", sd.Alarms.Status)
	}
}

func TestStep_an_alarm_after_the_success_changes_nothing(t *testing.T) {
	m := serveWith(t, 1, alarmed(Plan{Bake: time.Minute}, "errors"))
	sd := m.deploy("b", behaviour{})
	m.run(10 * time.Minute)
	m.wantStatus(sd, SDSuccessful)
	if sd.Alarms.Status != MonitorComplete {
		t.Errorf("alarms are %s, want MONITORING_COMPLETE", sd.Alarms.Status)
	}
	m.alarms["errors"] = "ALARM"
	m.run(10 * time.Minute)
	m.want("b COMPLETED 1/1")
}

func TestStep_a_rolling_deployment_bakes_after_the_old_tasks_are_gone(t *testing.T) {
	m := serveWith(t, 1, Plan{Strategy: Rolling, Bake: 10 * time.Minute})
	sd := m.deploy("b", behaviour{})
	m.run(9 * time.Minute)
	m.want("b IN_PROGRESS 1/1")
	if sd.Course.Stage != StageBake {
		t.Errorf("the stage is %s, want BAKE_TIME", sd.Course.Stage)
	}
	m.run(3 * time.Minute)
	m.want("b COMPLETED 1/1")
}
