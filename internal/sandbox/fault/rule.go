package fault

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Rule is one fault. Exactly one of When, Push, Pull and Deny says what it waits
// for.
type Rule struct {
	ID string `json:"id,omitempty"` // given by the set

	When       string `json:"when,omitempty"`       // an operation: "UpdateService"
	Service    string `json:"service,omitempty"`    // with When: only of this service ("ecs")
	Contains   string `json:"contains,omitempty"`   // with When: only if the request has this text
	Push       string `json:"push,omitempty"`       // "denied", "enospc" or "unavailable"
	Pull       string `json:"pull,omitempty"`       // "denied"
	Deny       string `json:"deny,omitempty"`       // an IAM action or "ecs:*": calls are denied, and IAM's simulator says so
	Repository string `json:"repository,omitempty"` // with Push and Pull: only this one

	After int `json:"after,omitempty"` // matching calls to let pass first
	Times int `json:"times,omitempty"` // how often to act; 0: see the package

	Error       string   `json:"error,omitempty"`   // an exception's name
	Message     string   `json:"message,omitempty"` // of the error
	Status      int      `json:"status,omitempty"`  // HTTP status, default by the error's name
	Delay       Duration `json:"delay,omitzero"`
	Hang        bool     `json:"hang,omitempty"` // no answer until the client leaves or the rule is removed
	DropAnswer  bool     `json:"dropAnswer,omitempty"`
	DeleteImage string   `json:"deleteImage,omitempty"` // repository, repository:tag or repository@digest
}

// Refusals of push and pull. A Docker engine tells the texts of the first two at
// once; one that is unavailable it asks again, five times over 50 seconds.
const (
	Denied      = "denied"
	NoSpace     = "enospc"      // push only
	Unavailable = "unavailable" // push only: HTTP 503
)

// Duration is a time.Duration that is written "2s" in JSON.
type Duration time.Duration

// MarshalText writes the duration as Go does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration that is not negative.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err == nil && parsed < 0 {
		err = errors.New("negative duration")
	}
	*d = Duration(parsed)
	return err
}

// check says what is wrong with a rule. operations are those that exist.
func (r Rule) check(operations func(service, operation string) bool) error {
	given := 0
	for _, s := range []string{r.When, r.Push, r.Pull, r.Deny} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		return errors.New("a fault needs exactly one of when, push, pull and deny")
	}
	if r.Times < 0 || r.After < 0 {
		return errors.New("times and after must not be negative")
	}
	switch {
	case r.Deny != "":
		return r.checkDeny()
	case r.When == "":
		return r.checkContent()
	}
	return r.checkCall(operations)
}

func (r Rule) checkDeny() error {
	switch {
	case !strings.Contains(r.Deny, ":"):
		return fmt.Errorf("deny is an action such as %q, not %q", "ecs:UpdateService", r.Deny)
	case r.acts() || r.Service != "" || r.Contains != "" || r.Repository != "" || r.Times != 0 || r.After != 0:
		return errors.New("deny stands alone")
	}
	return nil
}

func (r Rule) checkContent() error {
	switch {
	case r.Push != "" && r.Push != Denied && r.Push != NoSpace && r.Push != Unavailable:
		return fmt.Errorf("push is %q, %q or %q, not %q", Denied, NoSpace, Unavailable, r.Push)
	case r.Pull != "" && r.Pull != Denied:
		return fmt.Errorf("pull is %q, not %q", Denied, r.Pull)
	case r.acts() || r.Service != "" || r.Contains != "":
		return errors.New("push and pull take repository, times and after only")
	}
	return nil
}

func (r Rule) checkCall(operations func(service, operation string) bool) error {
	switch {
	case !operations(r.Service, r.When):
		return fmt.Errorf("there is no operation %s", strings.TrimPrefix(r.Service+"."+r.When, "."))
	case r.Repository != "":
		return errors.New("repository goes with push and pull only")
	case !r.acts():
		return errors.New("the fault does nothing: give error, status, delay, hang, dropAnswer or deleteImage")
	case r.refuses() && (r.DropAnswer || r.DeleteImage != ""):
		return errors.New("dropAnswer and deleteImage need the operation to succeed; give no error or status")
	case r.Status != 0 && (r.Status < 400 || r.Status > 599):
		return fmt.Errorf("status must be from 400 to 599, not %d", r.Status)
	}
	return nil
}

// acts says whether the rule does anything to a call.
func (r Rule) acts() bool {
	return r.refuses() || r.Delay > 0 || r.Hang || r.DropAnswer || r.DeleteImage != ""
}

// refuses says whether the rule answers instead of the operation.
func (r Rule) refuses() bool { return r.Error != "" || r.Status != 0 || r.Message != "" }

// limit is how often the rule acts; 0 is without end.
func (r Rule) limit() int {
	if r.Times == 0 && (r.DropAnswer || r.DeleteImage != "") {
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
