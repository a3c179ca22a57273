package fault

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// check says what is wrong with a rule. operations are those that exist.
func (r Rule) check(operations func(service, operation string) bool) error {
	given := 0
	for _, is := range []bool{r.When != "", r.Push != "", r.Pull != "", r.Deny != "", r.Task != "", r.Host != "", r.Clock != 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		return errors.New("a fault needs exactly one of when, push, pull, deny, task, host and clock")
	}
	if r.Times < 0 || r.After < 0 {
		return errors.New("times and after must not be negative")
	}
	if r.Task == "" && (r.dies() || r.Health != "" || r.Running || r.Container != "" || r.Capacity != nil) {
		return errors.New("exit, signal, oom, health, capacity, running and container go with task only")
	}
	if r.Alarm == "" && (r.State != "" || r.In != 0) {
		return errors.New("state and in go with alarm only")
	}
	if r.Host == "" && r.Share != 0 {
		return errors.New("share goes with host only")
	}
	switch {
	case r.Deny != "":
		return r.checkDeny()
	case r.Task != "":
		return r.checkTask()
	case r.Host != "" || r.Clock != 0:
		return r.checkWorld()
	case r.When == "":
		return r.checkContent()
	}
	return r.checkCall(operations)
}

func (r Rule) checkDeny() error {
	switch {
	case !strings.Contains(r.Deny, ":"):
		return fmt.Errorf("deny is an action such as %q, not %q", "ecs:UpdateService", r.Deny)
	case r.acts() || r.picks() || r.Times != 0 || r.After != 0:
		return errors.New("deny stands alone, or with lasts")
	}
	return nil
}

// picks says whether the rule has members that choose calls or repositories.
func (r Rule) picks() bool { return r.Service != "" || r.Contains != "" || r.Repository != "" }

func (r Rule) checkContent() error {
	text := r.Message
	r.Message = "" // pull may have one of its own
	switch {
	case r.Push != "" && r.Push != Denied && r.Push != NoSpace && r.Push != Unavailable:
		return fmt.Errorf("push is %q, %q or %q, not %q", Denied, NoSpace, Unavailable, r.Push)
	case r.Pull != "" && r.Pull != Denied && pullTexts[r.Pull] == nil:
		kinds := append([]string{Denied}, slices.Sorted(maps.Keys(pullTexts))...)
		return fmt.Errorf("pull is one of %s, not %q", strings.Join(kinds, ", "), r.Pull)
	case text != "" && r.Pull != PullOther || text == "" && r.Pull == PullOther:
		return fmt.Errorf("message goes with pull %q, which needs it", PullOther)
	case r.acts() || r.Service != "" || r.Contains != "":
		return errors.New("push and pull take repository, times, after and lasts only")
	}
	return nil
}

func (r Rule) checkCall(operations func(service, operation string) bool) error {
	switch {
	case r.When != everything && !operations(r.Service, r.When):
		return fmt.Errorf("there is no operation %s", strings.TrimPrefix(r.Service+"."+r.When, "."))
	case r.Repository != "":
		return errors.New("repository goes with push and pull only")
	case !r.acts():
		return errors.New("the fault does nothing: give error, status, delay, hang, garbage, cut, dropAnswer, deleteImage or alarm")
	case r.Cut != "" && r.Cut != Before && r.Cut != Middle:
		return fmt.Errorf("cut is %q or %q, not %q", Before, Middle, r.Cut)
	case r.Alarm != "" && !slices.Contains([]string{"OK", "ALARM", "INSUFFICIENT_DATA"}, r.State):
		return fmt.Errorf("state is OK, ALARM or INSUFFICIENT_DATA, not %q", r.State)
	case r.replaces() && r.wantsSuccess():
		return errors.New("cut in the middle, dropAnswer, deleteImage and alarm need the operation to succeed; give nothing that comes instead of it")
	case r.Garbage && (r.Error != "" || r.Message != ""):
		return errors.New("garbage takes a status, and no error or message")
	case r.Status != 0 && (r.Status < 400 || r.Status > 599):
		return fmt.Errorf("status must be from 400 to 599, not %d", r.Status)
	}
	return nil
}

// checkWorld looks at what is about no call and no task of its own.
func (r Rule) checkWorld() error {
	switch {
	case r.acts() || r.picks() || r.After != 0 || r.Times != 0:
		return errors.New("host takes share, and clock takes lasts only")
	case r.Host != "" && r.Host != HostEC2 && r.Host != HostFargate && r.Host != HostSpot:
		return fmt.Errorf("host is %q, %q or %q, not %q", HostEC2, HostFargate, HostSpot, r.Host)
	case r.Share < 0 || r.Share > 100:
		return fmt.Errorf("share is a percentage from 1 to 100, not %d", r.Share)
	}
	return nil
}

func (r Rule) checkTask() error {
	deaths := 0
	for _, given := range []bool{r.Exit != nil, r.Signal != "", r.OOM, r.Health != "", r.Capacity != nil} {
		if given {
			deaths++
		}
	}
	delay := r.Delay
	r.Delay = 0
	switch {
	case deaths != 1:
		return errors.New("a fault of tasks needs exactly one of exit, signal, oom, health and capacity")
	case r.acts() || r.picks():
		return errors.New("task takes container, delay, running, times, after and lasts beside what it does")
	case r.Capacity != nil && (*r.Capacity < 0 || r.Running || r.Container != "" || delay != 0):
		return errors.New("capacity is a number of tasks, and takes times, after and lasts only")
	case r.Exit != nil && (*r.Exit < 0 || *r.Exit > 255):
		return fmt.Errorf("exit is a code from 0 to 255, not %d", *r.Exit)
	case r.Signal != "" && signals[r.Signal] == 0:
		return fmt.Errorf("there is no signal %q; give a name such as SIGSEGV", r.Signal)
	case r.Health != "" && r.Health != Slow && r.Health != Failing:
		return fmt.Errorf("health is %q or %q, not %q", Slow, Failing, r.Health)
	case r.Health == Slow && delay == 0:
		return errors.New("slow health needs a delay")
	}
	return nil
}
