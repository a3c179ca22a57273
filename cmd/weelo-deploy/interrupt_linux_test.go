package main

import (
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// slow comes up late: its deployment is in progress when the signal comes.
var slow = scripted.Script{PullTakes: 4 * time.Second}

// together runs the cases side by side: they wait most of their time.
func together(t *testing.T, cases map[string]func(t *testing.T)) {
	var all sync.WaitGroup
	for name, f := range cases {
		all.Go(func() { t.Run(name, f) })
	}
	all.Wait()
}

// Real processes, real signals, no terminal: a CI step that is cancelled.
func TestProcessWithoutATerminal(t *testing.T) {
	t.Parallel()
	together(t, map[string]func(t *testing.T){
		"SIGINT goes back by one call within the 7.5 s of a cancelled step": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.start(nil, h.release()...)
			h.untilPrimary("28")
			began := time.Now()
			p.signal(os.Interrupt)
			p.wants(130, "the rollback to backend:27 was started and goes on in ECS", "weelo-deploy watch")
			if took := time.Since(began); took > 7*time.Second {
				t.Errorf("it took %s", took)
			}
			h.wantCalls(1, 1)
			h.untilServing("27")
		},
		"SIGTERM does the same and ends with 143": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.start(nil, h.release()...)
			h.untilPrimary("28")
			p.signal(syscall.SIGTERM)
			p.wants(143, "the rollback to backend:27 was started and goes on in ECS")
			h.wantCalls(1, 1)
		},
		"SIGINT, and SIGTERM after it": func(t *testing.T) {
			h := newHost(t, slow)
			h.fault(`{"when":"StopServiceDeployment","delay":"1s","times":1}`)
			p := h.start(nil, h.release()...)
			h.untilPrimary("28")
			p.signal(os.Interrupt)
			h.until("the rollback is called", func() bool { return h.calls("StopServiceDeployment") > 0 })
			p.signal(syscall.SIGTERM)
			p.wants(130, "the rollback to backend:27 was started and goes on in ECS")
			h.wantCalls(1, 1)
		},
		"SIGHUP stops watching": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.start(nil, h.release()...)
			h.untilPrimary("28")
			p.signal(syscall.SIGHUP)
			p.wants(130, "goes on in ECS, and nobody watches it")
			h.wantCalls(1, 0)
		},
		"SIGHUP under nohup changes nothing": func(t *testing.T) {
			h := newHost(t, scripted.Script{PullTakes: time.Second})
			p := h.start(nil, "sh", "-c", "trap '' HUP; exec "+strings.Join(h.release(), " "))
			h.untilPrimary("28")
			p.signal(syscall.SIGHUP)
			p.wants(0, "backend:28 is proven")
		},
		"detach was asked for": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.start(nil, h.release("--on-interrupt", "detach")...)
			h.untilPrimary("28")
			p.signal(syscall.SIGTERM)
			p.wants(143, "goes on in ECS, and nobody watches it")
			h.wantCalls(1, 0)
			h.start(nil, "weelo-deploy", "watch").wants(0, "was not concluded: going on with it")
			h.untilServing("28")
		},
		"a call in flight is waited for": func(t *testing.T) {
			h := newHost(t, slow)
			h.fault(`{"when":"UpdateService","delay":"1s","times":1}`)
			p := h.start(nil, h.release()...)
			h.until("UpdateService is called", func() bool { return h.calls("UpdateService") > 0 })
			p.signal(os.Interrupt)
			p.wants(130, "the rollback to backend:27 was started and goes on in ECS")
			h.untilServing("27")
		},
		"a call in flight that is never answered": func(t *testing.T) {
			h := newHost(t, slow)
			h.fault(`{"when":"UpdateService","hang":true}`)
			p := h.start(nil, h.release()...)
			h.until("UpdateService is called", func() bool { return h.calls("UpdateService") > 0 })
			began := time.Now()
			p.signal(os.Interrupt)
			p.wants(130, "UpdateService was sent and not answered: the deployment may begin all the same")
			if took := time.Since(began); took > 7*time.Second {
				t.Errorf("it took %s", took)
			}
		},
		"before UpdateService nothing is deployed": func(t *testing.T) {
			h := newHost(t, slow)
			h.fault(`{"when":"RegisterTaskDefinition","delay":"1s","times":1}`)
			p := h.start(nil, h.release()...)
			h.until("RegisterTaskDefinition is called", func() bool { return h.calls("RegisterTaskDefinition") > 0 })
			p.signal(os.Interrupt)
			p.wants(130, "nothing was deployed")
			h.wantCalls(0, 0)
		},
	})
}

// A runner signals the shell of a step, and kills it ten seconds later. The shell
// does not hand SIGINT on.
func TestProcessUnderAShellThatIsCancelled(t *testing.T) {
	t.Parallel()
	ci := []string{"CI=true"}
	script := func(h *host, words ...string) []string {
		return []string{"bash", "-e", "-c", strings.Join(append(words, h.release()...), " ") + "\necho not reached"}
	}
	together(t, map[string]func(t *testing.T){
		"SIGINT, then killed after ten seconds": func(t *testing.T) {
			h := newHost(t, scripted.Script{PullTakes: 20 * time.Second})
			p := h.start(ci, script(h)...)
			h.untilPrimary("28")
			p.signal(os.Interrupt)
			timer := time.NewTimer(10 * time.Second)
			defer timer.Stop()
			select {
			case <-p.ended:
				t.Fatalf("the shell ended by itself\n%s", p.out)
			case <-timer.C:
			}
			p.signal(os.Kill)
			h.untilServing("27")
			p.wants(-1, "interrupted by the end of the shell that ran it", "the rollback to backend:27 was started")
			h.wantCalls(1, 1)
		},
		"SIGTERM kills the shell at once": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.start(ci, script(h)...)
			h.untilPrimary("28")
			p.signal(syscall.SIGTERM)
			h.untilServing("27")
			p.wants(-1, "the rollback to backend:27 was started")
			h.wantCalls(1, 1)
		},
		"exec puts the release in the place of the shell": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.start(ci, script(h, "exec")...)
			h.untilPrimary("28")
			p.signal(os.Interrupt)
			p.wants(130, "the rollback to backend:27 was started")
			h.wantCalls(1, 1)
		},
		"outside of CI a parent may end": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.start(nil, script(h)...)
			h.untilPrimary("28")
			p.signal(os.Kill)
			h.untilServing("28")
			p.wants(-1, "backend:28 is proven")
			h.wantCalls(2, 0)
		},
	})
}

// A person at a terminal.
func TestProcessOnATerminal(t *testing.T) {
	t.Parallel()
	together(t, map[string]func(t *testing.T){
		"Ctrl-C once stops watching": func(t *testing.T) {
			h := newHost(t, scripted.Script{PullTakes: 8 * time.Second})
			p := h.startOnTerminal(h.release("--output", "plain")...)
			h.untilPrimary("28")
			p.ctrlC()
			p.untilSaid("Press Ctrl-C again within 5 s to roll back")
			p.wants(130, "goes on in ECS, and nobody watches it", "weelo-deploy watch", "weelo-deploy rollback")
			h.wantCalls(1, 0)
		},
		"Ctrl-C twice rolls back and watches it": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.startOnTerminal(h.release("--output", "plain")...)
			h.untilPrimary("28")
			p.ctrlC()
			p.untilSaid("Press Ctrl-C again within 5 s to roll back")
			p.ctrlC()
			p.wants(3, "backend:27 serves")
			h.wantCalls(2, 1)
		},
		"--on-interrupt rollback": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.startOnTerminal(h.release("--output", "plain", "--on-interrupt", "rollback")...)
			h.untilPrimary("28")
			p.ctrlC()
			p.wants(130, "the rollback to backend:27 was started and goes on in ECS")
			h.wantCalls(1, 1)
		},
		"Ctrl-C before UpdateService": func(t *testing.T) {
			h := newHost(t, slow)
			h.fault(`{"when":"RegisterTaskDefinition","delay":"1s","times":1}`)
			p := h.startOnTerminal(h.release("--output", "plain")...)
			h.until("RegisterTaskDefinition is called", func() bool { return h.calls("RegisterTaskDefinition") > 0 })
			p.ctrlC()
			p.wants(130, "nothing was deployed")
			h.wantCalls(0, 0)
		},
		"a terminal that is closed stops watching, and watch goes on": func(t *testing.T) {
			h := newHost(t, slow)
			p := h.startOnTerminal(h.release()...)
			h.untilPrimary("28")
			p.master.Close()
			p.wants(130)
			h.wantCalls(1, 0)
			h.start(nil, "weelo-deploy", "watch").wants(0, "backend:28 is proven")
			h.untilServing("28")
		},
	})
}

// wantCalls checks how often the service was changed.
func (h *host) wantCalls(updates, stops int) {
	h.t.Helper()
	if u, s := h.calls("UpdateService"), h.calls("StopServiceDeployment"); u != updates || s != stops {
		h.t.Errorf("UpdateService was called %d times and StopServiceDeployment %d times, want %d and %d", u, s, updates, stops)
	}
}

// kill -9 at the worst moments, with the real binary; then watch.
func TestProcessKilledThenWatch(t *testing.T) {
	t.Parallel()
	segfault := scripted.Script{Exits: true, ExitCode: 139}
	cases := map[string]func(t *testing.T){}
	for name, c := range map[string]struct {
		script  scripted.Script
		fault   string // makes it hang at that moment
		call    string // the call that hangs; empty: once its deployment is PRIMARY
		exit    int
		said    string
		serving string
	}{
		"before UpdateService":           {scripted.Script{}, `{"when":"UpdateService","hang":true}`, "UpdateService", 0, "nothing is in progress", "27"},
		"after UpdateService":            {slow, "", "", 0, "backend:28 is proven", "28"},
		"before the rollback":            {segfault, `{"when":"StopServiceDeployment","hang":true,"times":1}`, "StopServiceDeployment", 3, "backend:27 serves", "27"},
		"while it concludes a success":   {scripted.Script{}, `{"when":"TagResource","hang":true,"times":1}`, "TagResource", 0, "backend:28 is proven", "28"},
		"while it concludes a rollback":  {segfault, `{"when":"TagResource","hang":true,"times":1}`, "TagResource", 3, "backend:27 serves", "27"},
		"before it restores the breaker": {scripted.Script{}, `{"when":"UpdateService","hang":true,"after":1,"times":1}`, "UpdateService", 0, "backend:28 is proven", "28"},
	} {
		cases[name] = func(t *testing.T) {
			h := newHost(t, c.script)
			if c.fault != "" {
				h.fault(c.fault)
			}
			p := h.start(nil, h.release()...)
			switch c.call {
			case "":
				h.untilPrimary("28")
			case "UpdateService":
				want := 1 + strings.Count(c.fault, "after")
				h.until("UpdateService is called", func() bool { return h.calls(c.call) >= want })
			default:
				h.until(c.call+" is called", func() bool { return h.calls(c.call) > 0 })
			}
			p.signal(os.Kill)
			<-p.ended
			h.start(nil, "weelo-deploy", "watch").wants(c.exit, c.said)
			h.start(nil, "weelo-deploy", "watch").wants(0, "nothing is in progress", "backend:"+c.serving+" serves")
			if b := h.service().DeploymentConfiguration.DeploymentCircuitBreaker; b != nil && b.Enable {
				t.Errorf("the circuit breaker stayed on: %+v", b)
			}
		}
	}
	together(t, cases)
}
