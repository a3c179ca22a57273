package page

import (
	g "maragu.dev/gomponents"
)

// What buttons do.
const (
	DoCrash      = "crash"
	DoNoPull     = "no-pull"
	DoSlowHealth = "slow-health"
	DoThrottle   = "throttle"
	DoDeploy     = "deploy"
	DoRollBack   = "roll-back"
	DoStopTask   = "stop-task"
	DoTakeBack   = "take-back"
	DoContinue   = "continue"
	DoHookBack   = "hook-back"
)

// button is something to press, and what it does in a line: what happens, and when.
type button struct{ Do, Label, Effect string }

// The faults of one service.
var (
	crash      = button{DoCrash, "Exit 139", "its next tasks die of SIGSEGV as soon as they have started; running ones go on, so deploy to see it"}
	noPull     = button{DoNoPull, "Cannot pull", "tasks can no longer pull from its repository; running ones go on, so deploy to see it"}
	slowHealth = button{DoSlowHealth, "Slow health", "the health checks of its next tasks say nothing for a minute; deploy to see it wait"}
)

// wide are the faults of the whole sandbox.
var wide = []button{
	{DoThrottle, "Throttling", "the next 20 calls of ECS, those of buttons included, answer ThrottlingException; from now on"},
}

var (
	deploy   = button{DoDeploy, "Deploy again", "a new deployment of the same revision, at once (UpdateService, forceNewDeployment)"}
	rollBack = button{DoRollBack, "Roll back", "back to what was deployed before, at once (StopServiceDeployment, ROLLBACK)"}
	goOn     = button{DoContinue, "Continue", "(ContinueServiceDeployment, CONTINUE)"}
	hookBack = button{DoHookBack, "Roll back", "(ContinueServiceDeployment, ROLLBACK)"}
)

// element is the button itself; its effect is told by the element with that id.
func (b button) element(kind, told string, more ...g.Node) g.Node {
	return el("button", at("type", "submit"), at("name", "do"), at("value", b.Do), at("class", kind), at("aria-describedby", told), txt(b.Label), g.Group(more))
}

// known says whether there is such a button.
func known(do string) bool {
	switch do {
	case DoCrash, DoNoPull, DoSlowHealth, DoThrottle, DoDeploy, DoRollBack, DoStopTask, DoTakeBack, DoContinue, DoHookBack:
		return true
	}
	return false
}
