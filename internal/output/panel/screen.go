package panel

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Screen draws frames at the bottom of a terminal. Not safe for use by several
// goroutines.
type Screen struct {
	W io.Writer
	// Size is the terminal's size now: it is asked for before each frame, which is
	// how a change of it is noticed everywhere, Windows included.
	Size func() (columns, lines int)

	drawn []int    // the width of each line of the frame that is on the screen
	shown []string // that frame
	at    int      // the columns that it was drawn for
}

// Begin and end of a synchronised update (private mode 2026): a terminal that knows
// it shows all of a write at once, others ignore it.
const (
	beginUpdate = "\x1b[?2026h"
	endUpdate   = "\x1b[?2026l"
	clearLine   = "\x1b[K" // to the end of the line
	clearBelow  = "\x1b[J" // to the end of the screen
)

// Measure is the terminal's size, with what is likely where it says nothing.
func (s *Screen) Measure() (columns, lines int) {
	columns, lines = s.Size()
	if columns <= 0 {
		columns = 80
	}
	if lines <= 0 {
		lines = 24
	}
	return columns, lines
}

// Draw puts scrolled, whole lines of text that shall stay, above the frame, and the
// frame over the one before. It writes once, or not at all when nothing changed.
func (s *Screen) Draw(scrolled string, frame []string, columns int) {
	if scrolled == "" && columns == s.at && slices.Equal(frame, s.shown) {
		return
	}
	var b bytes.Buffer
	b.WriteString(beginUpdate)
	s.home(&b, columns)
	if s.at != 0 && columns != s.at { // what the old lines became is anybody's guess
		b.WriteString(clearBelow)
	}
	for l := range strings.Lines(scrolled) {
		b.WriteString(strings.TrimSuffix(l, "\n") + clearLine + "\r\n")
	}
	for i, l := range frame {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(l + clearLine)
	}
	b.WriteString(clearBelow + endUpdate)
	s.W.Write(b.Bytes()) // a terminal that went away must not end the release
	s.shown, s.at, s.drawn = frame, columns, nil
	for _, l := range frame {
		s.drawn = append(s.drawn, Width(uncoloured(l)))
	}
}

// Leave puts scrolled above a last frame, which stays, and the cursor below it.
func (s *Screen) Leave(scrolled string, frame []string) {
	columns, _ := s.Measure()
	for _, l := range frame {
		scrolled += l + "\n"
	}
	s.Draw(scrolled, nil, columns)
	s.drawn = nil
}

// home moves to the beginning of the frame on the screen. A terminal that has
// become narrower has wrapped its lines.
func (s *Screen) home(b *bytes.Buffer, columns int) {
	rows := 0
	for _, w := range s.drawn {
		rows += max(1, (w+columns-1)/columns)
	}
	b.WriteByte('\r')
	if rows > 1 {
		fmt.Fprintf(b, "\x1b[%dA", rows-1)
	}
}

func uncoloured(s string) string {
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return s
		}
		j := strings.IndexByte(s[i:], 'm')
		if j < 0 {
			return s[:i]
		}
		s = s[:i] + s[i+j+1:]
	}
}
