package output

import (
	"fmt"
	"io"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// tone is how good the news of a line is. Modes show it by colour, glyph or
// annotation; the words of the line say it too.
type tone int

const (
	neutral tone = iota
	good
	bad
	warning
	quiet // skipped, heartbeats
)

// printer puts lines on the screen, each in the manner of its mode.
type printer interface {
	// line prints one line of the story, at a time since its beginning, in a stage
	// ("4/10 push"; empty: outside of any).
	line(elapsed time.Duration, stage string, t tone, text string)
	// summary prints how a stage ended: text says all of it, more is its reason and
	// detail alone.
	summary(elapsed time.Duration, stage string, t tone, e event.Stage, text string, more []string)
	// foreign prints text that a container or a build step wrote.
	foreign(elapsed time.Duration, stage, text string)
	// stage begins and ends what belongs to one stage. end comes before the line
	// that sums the stage up.
	begin(stage string)
	end()
	// report prints the lines of the final report as they are.
	report(lines []reportLine)
	// annotate tells the surroundings of a problem, where they have a place for it,
	// and which line of the user's file it is about, when it is about one.
	annotate(t tone, title, text, file string, line int)
}

// reportLine is a line of the final report.
type reportLine struct {
	tone    tone
	text    string
	foreign bool // text of a container or a build step
}

// linePrinter is plain mode, and with glyphs and colour what scrolls in tty mode. It
// never moves the cursor.
type linePrinter struct {
	w              io.Writer
	glyphs, colour bool
}

func (p *linePrinter) line(elapsed time.Duration, stage string, t tone, text string) {
	p.print(p.prefix(elapsed, stage) + p.glyph(t) + p.paint(t, text))
}

func (p *linePrinter) foreign(elapsed time.Duration, stage, text string) {
	p.line(elapsed, stage, neutral, text)
}

func (p *linePrinter) summary(elapsed time.Duration, stage string, t tone, _ event.Stage, text string, _ []string) {
	p.line(elapsed, stage, t, text)
}

func (p *linePrinter) begin(string)                               {}
func (p *linePrinter) end()                                       {}
func (p *linePrinter) annotate(tone, string, string, string, int) {}

func (p *linePrinter) report(lines []reportLine) {
	for i, l := range lines {
		text := p.paint(l.tone, l.text)
		if i == 0 {
			text = p.glyph(l.tone) + text
		}
		p.print(text)
	}
}

func (p *linePrinter) print(text string) {
	fmt.Fprintln(p.w, text) // a reader that went away must not end the release
}

func (p *linePrinter) prefix(elapsed time.Duration, stage string) string {
	s := words.Stamp(elapsed)
	if stage != "" {
		s += " [" + stage + "]"
	}
	if p.colour {
		return "\x1b[2m" + s + "\x1b[0m "
	}
	return s + " "
}

func (p *linePrinter) glyph(t tone) string {
	if !p.glyphs {
		return ""
	}
	return p.paint(t, map[tone]string{good: "✓", bad: "✖", warning: "!", quiet: "–", neutral: "·"}[t]) + " "
}

// colours are SGR codes of the 16 basic colours, which every theme has.
var colours = map[tone]string{good: "32", bad: "31", warning: "33", quiet: "2"}

func (p *linePrinter) paint(t tone, text string) string {
	code := colours[t]
	if !p.colour || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
