package release

import (
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
)

// Given are the flags of this run that a command for the same service has to
// repeat: without them it would take another configuration or another image.
type Given struct {
	Where []Flag // of every command: --config, --env
	What  []Flag // of a release: --image, --tag, --build-arg, …
}

// has says whether a flag of a release was given.
func (g Given) has(name string) bool {
	return slices.ContainsFunc(g.What, func(f Flag) bool { return f.Name == name })
}

// Flag is one flag as it is typed again: its name with the dashes, and the text
// with its value.
type Flag struct{ Name, Text string }

// aboutService are our commands that speak of one service.
var aboutService = []string{"release", "plan", "watch", "rollback", "status", "history", "logs"}

// Again completes a command that a message names, so that it reaches the service,
// the configuration and the image of this run from wherever it is typed. Other
// commands are left as they are.
func (s Settings) Again(command string) string {
	switch words, about := aboutIn(command); {
	case strings.HasPrefix(command, "aws ") && !strings.HasPrefix(command, "aws sts "):
		return appendFlag(command, Flag{"--region", s.Region})
	case !about || strings.Contains(command, " --help"):
		return command
	default:
		for _, f := range []Flag{{"--cluster", history.Short(s.Cluster)}, {"--service", history.Short(s.Service)}, {"--region", s.Region}} {
			command = appendFlag(command, f)
		}
		for _, f := range s.Given.Where {
			command = appendText(command, words, f)
		}
		if words[0] == "release" || words[0] == "plan" {
			for _, f := range s.Given.What {
				command = appendText(command, words, f)
			}
		}
		return command
	}
}

// aboutIn are the words after weelo-deploy in a command, and whether they speak of
// a service.
func aboutIn(command string) (words []string, about bool) {
	_, after, found := strings.Cut(command, "weelo-deploy ")
	words = strings.Fields(after)
	if !found || len(words) == 0 {
		return nil, false
	}
	for _, name := range aboutService {
		about = about || words[0] == name
	}
	return words, about
}

// appendFlag adds a flag that has a value and is not there.
func appendFlag(command string, f Flag) string {
	if f.Text == "" || strings.Contains(command+" ", " "+f.Name+" ") {
		return command
	}
	return command + " " + f.Name + " " + f.Text
}

// excludes are the flags that a release refuses beside another.
var excludes = map[string][]string{
	"--target": {"--image"}, "--build-arg": {"--image"}, "--rebuild": {"--image"},
}

// appendText adds a flag that was given, unless the command's own words name it or
// one that it does not go with.
func appendText(command string, words []string, f Flag) string {
	for _, w := range words {
		for _, other := range append([]string{f.Name}, excludes[f.Name]...) {
			if w == other {
				return command
			}
		}
	}
	return command + " " + f.Text
}

// nextOf completes the commands of a result's failure. A release that failed
// always has one: what serves now.
func (s Settings) nextOf(res *event.Result) {
	if f := res.Failure; f != nil && res.Outcome == event.FailedRun && len(f.Next)+len(res.Next) == 0 && !s.Rehearsal {
		f.Try("weelo-deploy status")
	}
	s.AgainIn(res.Failure)
}

// AgainIn completes the commands of a failure and of those beside it.
func (s Settings) AgainIn(f *event.Failure) {
	if f == nil {
		return
	}
	for i, c := range f.Next {
		f.Next[i] = s.Again(c)
	}
	for _, also := range f.Also {
		s.AgainIn(also)
	}
}
