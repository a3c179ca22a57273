package output

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/panel"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// redraw is how often the panel may be drawn: ten times a second.
const redraw = 100 * time.Millisecond

// live is tty mode: what is over scrolls as lines, what goes on is in a panel below
// them (internal/output/panel). The panel is drawn by a clock of its own, from the
// first record to the result.
type live struct {
	mu      sync.Mutex
	run     chronicle.Run
	screen  panel.Screen
	story   *story
	lines   *lineBuffer
	view    panel.View
	now     func() time.Time
	every   time.Duration // between two frames
	running chan struct{} // closed by the result; nil before the first record
	over    bool
}

// lineBuffer takes the lines that scroll, until they go straight to the terminal.
type lineBuffer struct {
	strings.Builder
	direct io.Writer
}

func (b *lineBuffer) Write(p []byte) (int, error) {
	if b.direct != nil {
		return b.direct.Write(p)
	}
	return b.Builder.Write(p)
}

func newLive(stderr, stdout io.Writer, size func() (int, int), colour bool) *live {
	if size == nil {
		size = func() (int, int) { return 0, 0 }
	}
	l := &live{lines: &lineBuffer{}, screen: panel.Screen{W: stderr, Size: size}, view: panel.View{Colour: colour}, now: time.Now, every: redraw}
	l.story = newStory(&ttyPrinter{linePrinter{w: l.lines, glyphs: true, colour: colour}}, stdout)
	l.story.live = true
	l.view.Run = &l.run
	return l
}

func (l *live) record(r event.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, last := r.Event.(event.Result)
	l.run.Record(r) // the last frame depends on how the run ended
	if last && !l.over {
		l.leave()
	}
	l.story.record(r)
	if !last && l.running == nil && !l.over {
		l.running = make(chan struct{})
		go l.draw(l.running)
	}
}

// leave puts the last frame where it stays; what comes is printed as it is. A run
// that never got to the service has said all in its lines.
func (l *live) leave() {
	l.over = true
	if l.running != nil {
		close(l.running)
	}
	l.view.Final, l.view.Notice = true, ""
	var frame []string
	if len(l.run.Deployments) > 0 {
		columns, _ := l.screen.Measure()
		l.view.Now = l.now()
		frame = panel.Frame(l.view, columns, panel.Most)
	}
	if l.running != nil || l.lines.Len() > 0 {
		l.screen.Leave(l.lines.String(), frame)
	}
	l.lines.Reset()
	l.lines.direct = l.screen.W
}

func (l *live) draw(until <-chan struct{}) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-until:
			return
		case <-tick.C:
			l.mu.Lock()
			l.frame()
			l.mu.Unlock()
		}
	}
}

func (l *live) frame() {
	if l.over {
		return
	}
	columns, lines := l.screen.Measure()
	l.view.Now = l.now()
	l.screen.Draw(l.lines.String(), panel.Frame(l.view, columns, lines-1), columns)
	l.lines.Reset()
}

// say shows a notice at once, whatever the run does. l.mu is
// held.
func (l *live) say(notice string) {
	l.view.Notice = notice
	l.frame()
}

// ttyPrinter prints what scrolls on a terminal: a line for each stage that is over,
// and before it, indented, what was worth telling of it.
type ttyPrinter struct{ linePrinter }

func (p *ttyPrinter) line(_ time.Duration, stage string, t tone, text string) {
	indent := ""
	if stage != "" {
		indent = "  "
	}
	p.print(indent + p.glyph(t) + p.paint(t, text))
}

func (p *ttyPrinter) foreign(_ time.Duration, _, text string) {
	p.print("  " + p.paint(quiet, "│") + " " + text)
}

func (p *ttyPrinter) summary(_ time.Duration, _ string, t tone, e event.Stage, _ string, more []string) {
	took := ""
	if e.Seconds >= 0.05 && e.Status != event.Skipped {
		took = words.Took(e.Seconds)
	}
	if e.Status != event.Done {
		more = append([]string{string(e.Status)}, more...)
	}
	text := fmt.Sprintf("%-12s %6s  %s", e.Name, took, strings.Join(more, ": "))
	text = strings.TrimRight(text, " ")
	if t != good { // of what went well the mark is green: a green screen says nothing
		text = p.paint(t, text)
	}
	p.print(p.glyph(t) + text)
}
