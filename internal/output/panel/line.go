package panel

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// tone is how a part of a line looks.
type tone string

// The tones are SGR codes of the 16 basic colours, which every theme has.
const (
	plain tone = ""
	bold  tone = "1"
	dim   tone = "2"
	bad   tone = "31"
	good  tone = "32"
	warn  tone = "33"
)

// part is text of one tone.
type part struct {
	tone tone
	text string
}

// line is a line of parts.
type line []part

func (l line) empty() bool { return len(l) == 0 }

func (l line) width() int {
	n := 0
	for _, p := range l {
		n += Width(p.text)
	}
	return n
}

// right is the line with text at the right edge, and cut to leave room for it.
func (l line) right(text string, columns int) line {
	room := columns - 1 - Width(text) - 1
	if room < 10 {
		return l
	}
	l = l.cut(room)
	pad := strings.Repeat(" ", room-l.width()+1)
	return append(l, part{plain, pad}, part{dim, text})
}

// cut is the line in at most so many columns.
func (l line) cut(columns int) line {
	var out line
	for i, p := range l {
		w := Width(p.text)
		if w > columns || w == columns && i < len(l)-1 && l[i+1:].width() > 0 {
			return append(out, part{p.tone, Cut(p.text, columns)})
		}
		out = append(out, p)
		columns -= w
	}
	return out
}

// render is the line for a terminal. The last column stays empty: a terminal that
// has filled it is in a state between two lines.
func (l line) render(columns int, colour bool) string {
	var b strings.Builder
	for _, p := range l.cut(max(columns-1, 1)) {
		if colour && p.tone != plain && strings.TrimSpace(p.text) != "" {
			b.WriteString("\x1b[" + string(p.tone) + "m" + p.text + "\x1b[0m")
			continue
		}
		b.WriteString(p.text)
	}
	return strings.TrimRight(b.String(), " ")
}

// Width is how many columns text may take: terminals do not agree on emoji that are
// joined or modified, so the larger of both answers counts.
func Width(s string) int {
	n := 0
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		n += clusterWidth(g.Value(), g.Width())
	}
	return n
}

func clusterWidth(cluster string, whole int) int {
	parts := 0
	for _, r := range cluster {
		parts += displaywidth.Rune(r)
	}
	return max(whole, parts)
}

// Cut is text in at most so many columns, with an ellipsis where it was cut.
func Cut(s string, columns int) string {
	if Width(s) <= columns {
		return s
	}
	if columns <= 0 {
		return ""
	}
	var b strings.Builder
	n := 0
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		w := clusterWidth(g.Value(), g.Width())
		if n+w > columns-1 {
			break
		}
		n += w
		b.WriteString(g.Value())
	}
	return b.String() + "…"
}
