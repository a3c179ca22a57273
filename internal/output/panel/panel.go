// Package panel draws the live panel of a terminal: what a run is doing now, in at
// most fourteen lines.
//
// Frame is a pure function of the chronicle, the time and the terminal's size, so
// that what people see at 60, 80 or 120 columns is a golden file. Screen puts frames
// on a terminal: below the lines that scroll, never on the alternate screen, each
// frame over the one before in a single write.
package panel

import (
	"fmt"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// Most is how many lines a frame has at the most.
const Most = 14

// View is what there is to draw.
type View struct {
	Run    *chronicle.Run
	Now    time.Time
	Title  string // what the run is about
	Notice string // said at once, such as what a Ctrl-C does
	Hint   string // what Ctrl-C would do before anything is deployed
	Then   string // and after
	Final  bool   // the last frame, which stays
	Colour bool
}

// Frame is the panel for a terminal of so many columns and lines. No line is wider,
// so that none wraps and the next frame finds its beginning.
func Frame(v View, columns, lines int) []string {
	out := []line{v.head(columns)}
	if strip := v.strip(columns); !strip.empty() && !v.Final {
		out = append(out, strip)
	}
	var end []line
	if v.Notice != "" {
		end = append(end, line{{warn, "! " + v.Notice}})
	} else if hint := v.hint(); hint != "" {
		end = append(end, line{{dim, hint}})
	}
	room := min(Most, lines) - len(out) - len(end)
	out = append(out, v.body(columns, room)...)
	out = append(out, end...)
	if most := max(min(Most, lines), 1); len(out) > most {
		out = out[:most]
	}
	text := make([]string, len(out))
	for i, l := range out {
		text[i] = l.render(columns, v.Colour)
	}
	return text
}

// head names the run and the stage that is under way, with its time, the usual one,
// and on the right the time since the beginning.
func (v View) head(columns int) line {
	s := v.Run.Stage()
	if step := v.working(); s == nil && step != "" && !v.Final { // a command that has no stages
		return line{{good, spinner(v.Now) + " "}, {bold, step}, {dim, "  " + v.Title}}.right(words.Stamp(v.Run.Elapsed(v.Now))[1:], columns)
	}
	if s == nil || v.Final {
		return line{{bold, v.Title}}.right(words.Stamp(v.Run.Elapsed(v.Now))[1:], columns)
	}
	name := s.Name
	if s.Total > 0 {
		name = fmt.Sprintf("%d/%d %s", s.Index, s.Total, s.Name)
	}
	l := line{{good, spinner(v.Now) + " "}, {bold, name + " "}, {plain, words.Took(s.Took(v.Now).Seconds())}}
	if s.UsualSeconds > 0 {
		l = append(l, part{dim, " (usually " + words.Took(s.UsualSeconds) + ")"})
	}
	l = append(l, part{dim, "  " + v.Title})
	return l.right(words.Stamp(v.Run.Elapsed(v.Now))[1:], columns)
}

// strip is the stages that are over, with their times; when there is no room for
// all, the last ones.
func (v View) strip(columns int) line {
	var parts []line
	width := 0
	for _, s := range v.Run.Stages {
		if !s.Over() || s.Status == event.Skipped {
			continue
		}
		mark := part{good, "✓ "}
		if s.Status != event.Done {
			mark = part{bad, "✖ "}
		}
		p := line{mark, {dim, s.Name + " " + words.Took(s.Took(v.Now).Seconds()) + "  "}}
		parts = append(parts, p)
		width += p.width()
	}
	cut := false
	for len(parts) > 0 && width > columns-3 {
		width -= parts[0].width()
		parts, cut = parts[1:], true
	}
	var out line
	if cut {
		out = line{{dim, "… "}}
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// body is what the stage at hand is about: the service once it deploys, else the
// steps of the build or the push.
func (v View) body(columns, room int) []line {
	if len(v.Run.Deployments) > 0 || len(v.Run.Tasks) > 0 {
		return v.service(columns, room)
	}
	if stage := v.working(); stage != "" && !v.Final {
		return v.steps(stage, columns, room)
	}
	return nil
}

// working is the name of the stage that is under way, or of what the last step
// belongs to: the command build has steps and no stages.
func (v View) working() string {
	if s := v.Run.Stage(); s != nil {
		return s.Name
	}
	if n := len(v.Run.Steps); n > 0 && len(v.Run.Stages) == 0 {
		return v.Run.Steps[n-1].Stage
	}
	return ""
}

func (v View) hint() string {
	switch {
	case v.Final:
		return ""
	case len(v.Run.Deployments) > 0:
		return v.Then
	}
	return v.Hint
}

// spinner turns five times a second.
func spinner(now time.Time) string {
	frames := []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}
	return frames[now.UnixMilli()/200%int64(len(frames))]
}

// bar is how far something is, in so many columns.
func bar(done, total int64, columns int) string {
	full := 0
	if total > 0 {
		full = int(min(done, total) * int64(columns) / total)
	}
	return strings.Repeat("█", full) + strings.Repeat("░", columns-full)
}
