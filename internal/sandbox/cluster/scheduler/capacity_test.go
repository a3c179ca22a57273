package scheduler

import (
	"strings"
	"testing"
	"time"
)

func TestStep_without_capacity(t *testing.T) {
	room := 100
	limited := func(m *sim) { m.env.Room = func(want int) int { return min(want, max(room-m.s.live(nil), 0)) } }

	t.Run("waits and goes on when it is back", func(t *testing.T) {
		room = 1
		m := newSim(t, 3, usual, Breaker{})
		limited(m)
		m.deploy("a", behaviour{})
		m.run(90 * time.Second)
		m.want("a IN_PROGRESS 1/3 f1") // the second attempt set nothing back: the first task is healthy
		room = 100
		m.run(5 * time.Minute)
		m.want("a COMPLETED 3/3")
		m.wantEvents(0, noFargate,
			"has started 1 tasks: (task t1).",
			"has started 2 tasks: (task t2) (task t3).",
			"(deployment a) deployment completed.",
			"has reached a steady state.")
	})
	t.Run("is tried again at once when it changes", func(t *testing.T) {
		room = 0
		m := newSim(t, 1, usual, Breaker{})
		limited(m)
		m.deploy("a", behaviour{})
		m.run(time.Second)
		room = 1
		m.s.Retry()
		m.run(time.Second)
		m.want("a IN_PROGRESS 0/1 f1")
		if len(m.s.Tasks) != 1 {
			t.Error("no task was started")
		}
	})
	t.Run("counts for the breaker", func(t *testing.T) {
		room = 100
		m := newSim(t, 1, usual, breaker)
		limited(m)
		m.serve()
		room = 1
		sd := m.deploy("b", behaviour{})
		m.run(10 * time.Minute)
		m.want("a COMPLETED 1/1")
		m.wantStatus(sd, SDRollbackSuccessful)
		if sd.Failures != 3 {
			t.Errorf("%d failures, want 3", sd.Failures)
		}
	})
	t.Run("names the container instance", func(t *testing.T) {
		room = 0
		m := newSim(t, 1, usual, Breaker{})
		limited(m)
		m.env.Instance = "abc"
		m.deploy("a", behaviour{})
		m.s.Deployments[0].Template.Fargate = false
		m.run(time.Second)
		if got := m.events()[0]; !strings.HasPrefix(got, "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance abc) has insufficient") {
			t.Errorf("event is %q", got)
		}
	})
}

func TestNextProvider(t *testing.T) {
	both := []Provider{{Name: "FARGATE", Base: 2, Weight: 1}, {Name: "FARGATE_SPOT", Weight: 3}}
	placed := map[string]int{}
	for range 10 {
		placed[NextProvider(both, placed)]++
		if placed["FARGATE"] < 2 && placed["FARGATE_SPOT"] > 0 {
			t.Error("the base is not placed first")
		}
	}
	if placed["FARGATE"] != 4 || placed["FARGATE_SPOT"] != 6 { // 2, and then 1 to 3
		t.Errorf("tasks are placed on %v", placed)
	}
	if got := NextProvider(nil, nil); got != "" {
		t.Errorf("without providers a task is placed on %q", got)
	}
	if got := NextProvider([]Provider{{Name: "a", Weight: 0}, {Name: "b", Weight: 1}}, nil); got != "b" {
		t.Errorf("a task is placed on %q, which has no weight", got)
	}
}

func TestTask_loses_its_host(t *testing.T) {
	m := newSim(t, 2, usual, breaker)
	m.serve()
	before := len(m.s.Events)
	lost := m.s.Tasks[0]
	lost.LoseHost(StopTermination, "Host EC2 (instance i-1) terminated.", m.now)
	m.exit(lost, 137)
	m.s.Tasks[1].Interrupted(m.now)
	m.run(5 * time.Minute)
	m.want("a COMPLETED 2/2")
	m.wantEvents(before, "has started 2 tasks: (task t3) (task t4).", "has reached a steady state.")
	if lost.StopCode != StopTermination || lost.Containers[0].ExitCode != nil {
		t.Errorf("task t1 was stopped with %s, exit code %v; want none", lost.StopCode, lost.Containers[0].ExitCode)
	}
	if spot := m.s.Tasks[1]; spot.StopCode != StopSpot || spot.StopReason != "Your Spot Task was interrupted." || *spot.Containers[0].ExitCode != 0 {
		t.Errorf("task t2 was stopped with %s, %q", spot.StopCode, spot.StopReason)
	}
}
