package scheduler

import (
	"testing"
	"time"
)

// die is the end of everything that runs, and Resume.
func (m *sim) die() {
	m.due = nil
	m.s.Resume(m.at())
}

func TestService_Resume_aSteadyServiceServesAtOnce(t *testing.T) {
	m := newSim(t, 3, Limits{100, 200}, Breaker{Enable: true, Rollback: true})
	m.serve()
	m.die()
	m.run(0)
	m.want("a COMPLETED 3/3")
	if !m.s.Steady() {
		t.Error("the service is not steady again")
	}
	stopped := 0
	for _, task := range m.s.Tasks {
		if task.Status == Stopped && task.StopCode == StopInfrastructure && !task.StoppedAt.IsZero() {
			stopped++
		}
	}
	if n := m.s.ServiceDeployments; stopped != 3 || len(n) != 1 {
		t.Errorf("%d tasks are STOPPED for the host, %d service deployments; want 3 and 1", stopped, len(n))
	}
	m.run(2 * Retention)
	if len(m.s.Tasks) != 3 {
		t.Errorf("after the retention there are %d tasks, want 3", len(m.s.Tasks))
	}
}

func TestService_Resume_aDeploymentGoesOn(t *testing.T) {
	m := newSim(t, 4, Limits{50, 150}, Breaker{Enable: true, Rollback: true})
	m.serve()
	sd := m.deploy("b", behaviour{})
	m.run(30 * time.Second)
	before := m.state()
	m.die()
	m.run(0)
	if sd.Status != SDInProgress || len(m.s.Deployments) != 2 || m.s.Count("a").Running == 0 {
		t.Fatalf("after the restart it is %s, before it was %s", m.state(), before)
	}
	m.run(10 * time.Minute)
	m.want("b COMPLETED 4/4")
	m.wantStatus(sd, SDSuccessful)
}

func TestService_Resume_aFailingDeploymentIsStillRolledBack(t *testing.T) {
	m := newSim(t, 1, Limits{100, 200}, Breaker{Enable: true, Rollback: true})
	m.serve()
	sd := m.deploy("b", behaviour{crash: true})
	m.run(70 * time.Second)
	failed := m.s.Deployments[0].FailedTasks
	m.die()
	m.run(0)
	if got := m.s.Deployments[0]; failed == 0 || got.ID != "b" || got.FailedTasks != failed {
		t.Fatalf("the restart changes the number of failed tasks: %d, then %s", failed, m.state())
	}
	m.run(10 * time.Minute)
	m.want("a COMPLETED 1/1")
	m.wantStatus(sd, SDRollbackSuccessful)
}

func TestService_Resume_aServiceThatIsDeletedEnds(t *testing.T) {
	m := newSim(t, 2, Limits{100, 200}, Breaker{})
	m.serve()
	m.s.Desired, m.s.Draining = 0, true
	m.run(0)
	m.die()
	m.run(0)
	if n := m.s.live(nil); n != 0 {
		t.Errorf("%d tasks live", n)
	}
}

func TestTask_Lose_keepsTheReasonOfAnEnd(t *testing.T) {
	m := newSim(t, 1, Limits{100, 200}, Breaker{})
	m.serve()
	one := m.s.Tasks[0]
	one.StopByUser("enough", m.now)
	one.Lose(m.now)
	if one.StopCode != StopUser || one.StopReason != "enough" || one.Status != Stopped || !one.Containers[0].Exited {
		t.Errorf("the task is %+v", one)
	}
	version := one.Version
	if one.Lose(m.now); one.Version != version {
		t.Error("a task that has ended is lost once more")
	}
}

// TestService_Resume_aBlueGreenDeploymentGoesOn restarts it in each of its stages.
func TestService_Resume_aBlueGreenDeploymentGoesOn(t *testing.T) {
	for after := 10 * time.Second; after < 12*time.Minute; after += 35 * time.Second {
		m := serveWith(t, 2, plan(BlueGreen, 0, 0))
		sd := m.deploy("b", behaviour{})
		m.run(after)
		blue := m.s.Count("a").Running
		m.die()
		m.run(0)
		if got := m.s.Count("a").Running; got != blue {
			t.Errorf("after %s a restart leaves %d tasks of blue, there were %d: %s", after, got, blue, m.state())
		}
		m.run(time.Hour)
		m.want("b COMPLETED 2/2")
		m.wantStatus(sd, SDSuccessful)
	}
}
