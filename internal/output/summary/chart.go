package summary

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// chart is the run as a Mermaid gantt chart: stages, then tasks. The times are
// milliseconds (dateFormat x), so that no colon stands in a date, where Mermaid
// would take it for the end of a name.
func chart(r *chronicle.Run) string {
	const mostTasks = 30
	if len(r.Stages) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("### Timeline\n\n```mermaid\ngantt\n    dateFormat x\n    axisFormat %H:%M:%S\n    section Stages\n")
	for _, s := range r.Stages {
		if s.Status == event.Skipped {
			continue
		}
		tag := map[event.Status]string{event.Done: "done", event.Failed: "crit", event.Interrupted: "crit"}[s.Status]
		end := s.Began.Add(s.Took(r.Now))
		b.WriteString(bar(s.Name+" "+words.Took(s.Took(r.Now).Seconds()), tag, s.Began, end))
	}
	for i, t := range r.Watched() {
		if i == 0 {
			b.WriteString("    section Tasks\n")
		}
		if i == mostTasks {
			break
		}
		tag, end, how := "active", t.Ended, t.Status
		if end.IsZero() {
			end = r.Now
		}
		if t.Failed() {
			tag, how = "crit", string(t.Code)
		}
		b.WriteString(bar(fmt.Sprintf("task %s of %s %s", words.ID(t.ID), words.Name(t.Revision), how), tag, t.Began, end))
	}
	b.WriteString("```\n\n")
	return b.String()
}

// bar is one line of the chart. A bar without a length would not be drawn.
func bar(name, tag string, from, to time.Time) string {
	const shortest = 200 * time.Millisecond
	if to.Sub(from) < shortest {
		to = from.Add(shortest)
	}
	if tag != "" {
		tag += ", "
	}
	return fmt.Sprintf("    %s :%s%d, %d\n", label(name), tag, from.UnixMilli(), to.UnixMilli())
}

// label keeps of a name what Mermaid takes for nothing but text.
func label(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == ':':
			return ' '
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune(" ._-/()", r):
			return r
		}
		return -1
	}, s)
	return strings.Join(strings.Fields(words.Cut(s, 80)), " ")
}
