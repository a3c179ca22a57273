package fault

import (
	"fmt"
	"net/http"
	"time"
)

// Rule is one fault. Exactly one of When, Push, Pull, Deny, Task, Host and Clock
// says what it is about.
type Rule struct {
	ID string `json:"id,omitempty"` // given by the set

	When       string `json:"when,omitempty"`       // an operation: "UpdateService"; "*" is every one
	Service    string `json:"service,omitempty"`    // with When: only of this service ("ecs")
	Contains   string `json:"contains,omitempty"`   // with When: only if the request has this text
	Push       string `json:"push,omitempty"`       // "denied", "enospc" or "unavailable"
	Pull       string `json:"pull,omitempty"`       // one of the pull constants
	Deny       string `json:"deny,omitempty"`       // an IAM action or "ecs:*": calls are denied, and IAM's simulator says so
	Repository string `json:"repository,omitempty"` // with Push and Pull: only this one
	Task       string `json:"task,omitempty"`       // a service, family, family:revision or task id; "*" is every task
	Container  string `json:"container,omitempty"`  // with Task: only this one; else the first essential one
	Host       string `json:"host,omitempty"`       // "ec2", "fargate" or "spot": hosts of running tasks are lost, at once
	Clock      Offset `json:"clock,omitzero"`       // AWS's clock is off by that, as a client sees it

	After int      `json:"after,omitempty"` // matching calls, or tasks, to let pass first
	Times int      `json:"times,omitempty"` // how often to act; 0: see the package
	Lasts Duration `json:"lasts,omitzero"`  // the rule goes by itself after that

	Error       string   `json:"error,omitempty"`   // an exception's name
	Message     string   `json:"message,omitempty"` // of the error; with Pull: the whole text
	Status      int      `json:"status,omitempty"`  // HTTP status, default by the error's name
	Delay       Duration `json:"delay,omitzero"`    // before the answer; with Task: after the container's start
	Hang        bool     `json:"hang,omitempty"`    // no answer until the client leaves or the rule is removed
	Garbage     bool     `json:"garbage,omitempty"` // an answer that no service of AWS gives: a page
	Cut         string   `json:"cut,omitempty"`     // the connection: "before" the operation, "middle" of its answer
	DropAnswer  bool     `json:"dropAnswer,omitempty"`
	DeleteImage string   `json:"deleteImage,omitempty"` // repository, repository:tag or repository@digest
	Alarm       string   `json:"alarm,omitempty"`       // an alarm that gets a state
	State       string   `json:"state,omitempty"`       // of Alarm: OK, ALARM or INSUFFICIENT_DATA
	In          Duration `json:"in,omitzero"`           // with Alarm: so long after the call

	Exit    *int   `json:"exit,omitempty"`    // the container dies with this code
	Signal  string `json:"signal,omitempty"`  // the container dies of it: "SIGSEGV"
	OOM     bool   `json:"oom,omitempty"`     // the container dies at its memory limit
	Health  string `json:"health,omitempty"`  // its health check is "slow" or "failing"
	Running bool   `json:"running,omitempty"` // tasks that run already are meant too

	Capacity *int `json:"capacity,omitempty"` // with Task: there is room for so many of them, and no more
	Share    int  `json:"share,omitempty"`    // with Host: percent of the tasks that are lost; 0 is all
}

// Refusals of push. A Docker engine tells the texts of the first two at once; one
// that is unavailable it asks again, five times over 50 seconds.
const (
	Denied      = "denied" // of pull as well, and then of clients too
	NoSpace     = "enospc"
	Unavailable = "unavailable" // HTTP 503
)

// Where a connection is cut.
const (
	Before = "before"
	Middle = "middle"
)

// What health checks do.
const (
	Slow    = "slow"    // it says nothing until Delay is over
	Failing = "failing" // it fails from Delay on
)

// Duration is a time.Duration that is written "2s" in JSON.
type Duration time.Duration

// MarshalText writes the duration as Go does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration that is not negative.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err != nil || parsed < 0 {
		return fmt.Errorf("%q is no duration, such as 2s", b)
	}
	*d = Duration(parsed)
	return nil
}

// Hosts that are lost.
const (
	HostEC2     = "ec2"     // the container instance
	HostFargate = "fargate" // what is under Fargate tasks
	HostSpot    = "spot"    // Fargate Spot takes its capacity back
)

// Offset is a time.Duration of either sign that is written "-20m" in JSON.
type Offset time.Duration

// MarshalText writes the offset as Go does.
func (o Offset) MarshalText() ([]byte, error) { return []byte(time.Duration(o).String()), nil }

// UnmarshalText reads an offset.
func (o *Offset) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no duration, such as -20m", b)
	}
	*o = Offset(parsed)
	return nil
}

// acts says whether the rule does anything to a call.
func (r Rule) acts() bool {
	return r.replaces() || r.Delay > 0 || r.Hang || r.wantsSuccess()
}

// refuses says whether the rule answers with an error instead of the operation.
func (r Rule) refuses() bool { return r.Error != "" || r.Status != 0 || r.Message != "" }

// replaces says whether the operation is not done at all.
func (r Rule) replaces() bool { return r.refuses() || r.Garbage || r.Cut == Before }

// wantsSuccess says whether the rule acts on an operation that has succeeded.
func (r Rule) wantsSuccess() bool {
	return r.DropAnswer || r.DeleteImage != "" || r.Alarm != "" || r.Cut == Middle
}

// dies says whether the rule ends a container.
func (r Rule) dies() bool { return r.Exit != nil || r.Signal != "" || r.OOM }

// limit is how often the rule acts; 0 is without end.
func (r Rule) limit() int {
	if r.Times == 0 && r.When != "" && r.wantsSuccess() {
		return 1
	}
	return r.Times
}

// refusal is the code, status and message that the rule answers with. Names
// that AWS gives to faults of its own answer with 500.
func (r Rule) refusal() (code string, status int, message string) {
	code, status, message = r.Error, r.Status, r.Message
	if status == 0 {
		status = http.StatusBadRequest
		for _, own := range []string{"ServerException", "InternalFailure", "InternalServerError", "InternalServerException"} {
			if code == own {
				status = http.StatusInternalServerError
			}
		}
	}
	if code == "" {
		code = "InternalFailure"
		if status == http.StatusServiceUnavailable {
			code = "ServiceUnavailable"
		}
	}
	if message == "" {
		message = "The sandbox was asked to fail this call."
		if code == "ThrottlingException" {
			message = "Rate exceeded"
		}
	}
	return code, status, message
}
