package scan

import (
	"fmt"
	"slices"

	"github.com/weelo/weelo-deploy/internal/event"
)

// maxTold is how many errors a failure tells one by one.
const maxTold = 20

// Failure is why an image is refused: one failure for each error of the report,
// those after the first in Also. It is nil when there are none.
func (r Report) Failure() *event.Failure {
	errs := r.Of(Error)
	if len(errs) == 0 {
		return nil
	}
	first := errs[0].failure()
	for i, f := range errs[1:] {
		if i+1 == maxTold {
			first.Also = append(first.Also, event.Fail(event.CodeBinaryMismatch, fmt.Sprintf("and %d more files like these", len(errs)-maxTold)))
			break
		}
		also := f.failure()
		also.Hints = slices.DeleteFunc(also.Hints, func(h string) bool { return slices.Contains(first.Hints, h) })
		first.Also = append(first.Also, also)
	}
	return first
}

func (f Finding) failure() *event.Failure {
	msg := fmt.Sprintf("%s is %s", printable(f.Path), printable(f.What))
	if f.Want != "" {
		msg += "; expected: " + printable(f.Want)
	}
	out := event.Fail(event.CodeBinaryMismatch, msg)
	for _, l := range f.Lines()[1:] {
		if !skipLine(l) {
			out.See(l)
		}
	}
	return out.Hint(f.Mend...)
}

// skipLine leaves out what the message and the hints say already.
func skipLine(l string) bool {
	for _, p := range []string{"expected: ", "mend: "} {
		if len(l) >= len(p) && l[:len(p)] == p {
			return true
		}
	}
	return false
}

// Notes are the warnings as notes for a run's story, one line each.
func (r Report) Notes() []event.Note { return r.sentences(Warning, event.Warn) }

// Remarks are the findings that refuse nothing and warn of nothing, in the same
// form.
func (r Report) Remarks() []event.Note { return r.sentences(Note, event.Info) }

func (r Report) sentences(l Level, as event.Level) []event.Note {
	var out []event.Note
	for _, f := range r.Of(l) {
		text := fmt.Sprintf("%s is %s", printable(f.Path), printable(f.What))
		switch {
		case f.Allowed != "":
			text += "; accepted by verify.allow " + printable(f.allowed())
		case f.Why != "":
			text += ": " + printable(f.Why)
		}
		if l == Warning && f.Step != "" {
			text += "; step: " + printable(f.Step)
		}
		if l == Warning && len(f.Mend) > 0 {
			text += "; mend: " + printable(f.Mend[0])
		}
		out = append(out, event.Note{Level: as, Text: text})
	}
	return out
}
