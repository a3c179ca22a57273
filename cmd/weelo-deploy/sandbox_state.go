package main

import (
	"errors"
	"fmt"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

// was says whether a flag is on the command line.
func (f *sandboxFlags) was(flag string) bool { return f.given != nil && f.given(flag) }

// keepState lets a state that is there decide what no flag says: whose it is, and
// where it listens.
func (a *app) keepState(cfg *sandbox.Config, f *sandboxFlags) {
	if f.state == "" {
		return
	}
	cfg.State, cfg.KeepAddress = f.state, !f.was("listen")
	if !f.was("account") {
		cfg.Account = ""
	}
	if a.flags.region == "" && sandbox.HasState(f.state) {
		cfg.Region = ""
	}
}

// notes say what is not as the flags let one expect.
func (f *sandboxFlags) notes(s *sandbox.Server) []string {
	switch {
	case s.Resumed() && f.seed != "":
		return []string{"goes on from the state in " + f.state, "the state in " + f.state + " is not empty: the seed was not planted"}
	case s.Resumed():
		return []string{"goes on from the state in " + f.state}
	}
	return nil
}

// tellNotes prints notes of a sandbox, and first of all who reaches it.
func (a *app) tellNotes(open string, notes []string) {
	if open != "" {
		notes = append([]string{"WARNING: other machines can reach it on " + open + "; without a password they can start containers on this one, and run commands as you where the seed has projects"}, notes...)
	}
	for _, n := range notes {
		fmt.Fprintln(a.stderr, "sandbox: "+n)
	}
}

// failure says of a sandbox that did not start what to do about it. command is what
// would start another.
func (f *sandboxFlags) failure(err error, command string) error {
	return listenFailure(stateFailure(mistakeFailure(err, f), f.state), f.listen, command)
}

// mistakeFailure says of what flags say, and of the rules in their files, what is
// wrong.
func mistakeFailure(err error, f *sandboxFlags) error {
	var value *sandbox.ConfigError
	var rules sandbox.FaultMistakes
	switch {
	case errors.As(err, &value):
		hints := map[string]string{"account": "--account wants 12 digits, such as 000000000000", "region": "--region wants a name such as us-east-1"}
		return event.Fail(event.CodeUsage, "--"+value.Setting+": "+value.Message).Hint(hints[value.Setting])
	case errors.As(err, &rules):
		var all []error
		for _, m := range rules {
			file := f.faults
			if m.Seeded {
				file = f.seed
			}
			all = append(all, event.Fail(event.CodeConfig, (&seed.Problem{File: file, Line: m.Line, Message: m.Message}).Error()).
				Hint("docs/sandbox.md lists what faults can do"))
		}
		return errors.Join(all...)
	}
	return err
}

// stateFailure says what to do about a state that cannot be used. The folder is as
// it was.
func stateFailure(err error, folder string) error {
	switch {
	case errors.Is(err, sandbox.ErrStateInUse):
		return event.Fail(event.CodeUsage, "another sandbox has the state in "+folder).
			Hint("end it, or choose another folder").
			Try("weelo-deploy sandbox status")
	case errors.Is(err, sandbox.ErrStateForeign):
		return event.Fail(event.CodeUsage, "--state wants a folder of its own: what is in "+folder+" is no sandbox's state").
			Hint("name an empty folder, or one that is not there yet")
	case errors.Is(err, sandbox.ErrStateFolder):
		return event.Fail(event.CodeUsage, "--state wants a folder that can be written: "+folder).Because(err).
			Hint("name an empty folder, or one that is not there yet")
	case errors.Is(err, sandbox.ErrStateOwner):
		return event.Fail(event.CodeUsage, "the state in "+folder+" is another account's or region's").Because(err).
			Hint("leave --account and --region out: the state knows them")
	case errors.Is(err, sandbox.ErrStateVersion), errors.Is(err, sandbox.ErrStateDamaged):
		return event.Fail(event.CodeConfig, "the state in "+folder+" cannot be read").Because(err).
			Hint("nothing in the folder was changed; another folder begins anew")
	}
	return err
}
