package panel

import (
	"fmt"
	"slices"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// steps are those of a build or a push: the last ones that are over, then the ones
// that run, with what they wrote last.
func (v View) steps(stage string, columns, room int) []line {
	var over, running []*chronicle.Step
	for _, s := range v.Run.Steps {
		switch {
		case s.Stage != stage:
		case s.Status == event.Started:
			running = append(running, s)
		default:
			over = append(over, s)
		}
	}
	var foot []line
	if n, cached := v.Run.Cached(stage); cached > 0 {
		foot = append(foot, line{{dim, fmt.Sprintf("  %d of %d steps from the cache", cached, n)}})
	}
	const most = 8
	room = min(room-len(foot), most)
	if room <= 0 {
		return nil
	}
	running = running[max(0, len(running)-room):]
	over = over[max(0, len(over)-(room-len(running))):]
	var out []line
	for _, s := range slices.Concat(over, running) {
		out = append(out, v.step(s, columns))
	}
	return append(out, foot...)
}

func (v View) step(s *chronicle.Step, columns int) line {
	took := words.Took(max(s.Ended.Sub(s.Began), 0).Seconds())
	switch s.Status {
	case event.Cached:
		return line{{dim, "  ✓ "}, {dim, s.Name}}.right("cached", columns)
	case event.Failed:
		return line{{bad, "  ✖ " + s.Name}}.right(took, columns)
	case event.Done:
		return line{{good, "  ✓ "}, {plain, s.Name}}.right(took, columns)
	case event.Started:
	default:
		return line{{dim, "  – " + s.Name}}.right(took, columns)
	}
	l := line{{good, "  " + spinner(v.Now) + " "}, {plain, s.Name}}
	switch {
	case s.Total > 0:
		sent := event.Bytes(s.Bytes) + " of " + event.Bytes(s.Total)
		l = line{{good, "  " + spinner(v.Now) + " "}, {plain, bar(s.Bytes, s.Total, max(8, columns/4)) + " " + sent + "  "}, {dim, s.Name}}
	case s.Last != "":
		l = append(l, part{dim, "  │ " + s.Last})
	}
	return l.right(words.Took(max(v.Now.Sub(s.Began), 0).Seconds()), columns)
}
