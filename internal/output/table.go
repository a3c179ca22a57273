package output

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"

	"github.com/weelo/weelo-deploy/internal/redact"
)

// TableOptions say where a table goes and who reads it.
type TableOptions struct {
	Out io.Writer
	// Terminal: aligned columns with headers and relative times, cut to Width.
	// Otherwise lines of tab-separated cells with RFC 3339 times and no header.
	Terminal bool
	Width    int              // columns of the terminal; 0: never cut
	Now      func() time.Time // nil: time.Now
	Redactor *redact.Redactor // nil: only what looks like a secret is masked
}

// Table collects rows and writes them when it is flushed.
type Table struct {
	o       TableOptions
	clean   sanitizer
	headers []string
	rows    [][]string
	keep    map[string]bool
	whole   string // a column that is never cut
}

// NewTable begins a table.
func NewTable(o TableOptions, headers ...string) *Table {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Table{o: o, clean: sanitizer{redactor: o.Redactor, lines: true}, headers: headers}
}

// Keep names the columns by which a reader tells the rows apart and judges them:
// they are cut only when cutting the others does not make room enough.
func (t *Table) Keep(headers ...string) *Table {
	t.keep = map[string]bool{}
	for _, h := range headers {
		t.keep[h] = true
	}
	return t
}

// Whole names the column whose cells are for copying: it is never cut, even when the
// lines get wider than the terminal.
func (t *Table) Whole(header string) *Table {
	t.whole = header
	return t
}

// Row adds a row. A cell is a string, a time.Time or *time.Time (none: empty), a
// time.Duration, or anything that fmt prints.
func (t *Table) Row(cells ...any) {
	row := make([]string, len(t.headers))
	for i := range min(len(cells), len(row)) {
		row[i] = t.clean.text(t.cell(cells[i]))
	}
	t.rows = append(t.rows, row)
}

func (t *Table) cell(c any) string {
	switch c := c.(type) {
	case nil:
		return ""
	case *time.Time:
		if c == nil {
			return ""
		}
		return t.cell(*c)
	case time.Time:
		switch {
		case c.IsZero():
			return ""
		case t.o.Terminal:
			return Ago(t.o.Now().Sub(c))
		default:
			return c.UTC().Format(time.RFC3339)
		}
	case time.Duration:
		return c.Round(time.Second).String()
	default:
		return fmt.Sprint(c)
	}
}

// Flush writes the table. A table without rows writes nothing.
func (t *Table) Flush() error {
	if len(t.rows) == 0 {
		return nil
	}
	var b strings.Builder
	if !t.o.Terminal {
		for _, r := range t.rows {
			b.WriteString(strings.Join(r, "\t") + "\n")
		}
	} else {
		full := t.full()
		widths := full.widths()
		for _, r := range append([][]string{full.headers}, full.rows...) {
			b.WriteString(aligned(r, widths) + "\n")
		}
	}
	_, err := io.WriteString(t.o.Out, b.String())
	return err
}

// full is the table without the columns that are empty in every row: they take
// room from the others and say nothing. Scripts count columns, so it is only for
// terminals.
func (t *Table) full() *Table {
	out := &Table{o: t.o, keep: t.keep, whole: t.whole, rows: make([][]string, len(t.rows))}
	for i, h := range t.headers {
		if !slices.ContainsFunc(t.rows, func(r []string) bool { return strings.TrimSpace(r[i]) != "" }) {
			continue
		}
		out.headers = append(out.headers, h)
		for n, r := range t.rows {
			out.rows[n] = append(out.rows[n], r[i])
		}
	}
	return out
}

// gap is the space between columns.
const gap = 2

// widths are those of the columns: as wide as their cells, and when that is more
// than the terminal has, the widest ones cut first, and those to keep last.
func (t *Table) widths() []int {
	widths := make([]int, len(t.headers))
	sum := gap * (len(t.headers) - 1)
	for i, h := range t.headers {
		widths[i] = displaywidth.String(h)
		for _, r := range t.rows {
			widths[i] = max(widths[i], displaywidth.String(r[i]))
		}
		sum += widths[i]
	}
	if t.o.Width <= 0 {
		return widths
	}
	sum = t.cut(widths, sum, func(h string) bool { return !t.keep[h] && h != t.whole })
	t.cut(widths, sum, func(h string) bool { return h != t.whole })
	return widths
}

// cut takes from the widest of the columns that may be cut until they all fit,
// and gives the sum that is left.
func (t *Table) cut(widths []int, sum int, may func(header string) bool) int {
	const least = 6 // narrower columns tell nothing
	for ; sum > t.o.Width; sum-- {
		widest := -1
		for i, w := range widths {
			if w > least && may(t.headers[i]) && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return sum
}

func aligned(cells []string, widths []int) string {
	var b strings.Builder
	for i, c := range cells {
		c = displaywidth.TruncateString(c, widths[i], "…")
		b.WriteString(c)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(0, widths[i]-displaywidth.String(c))+gap))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// Ago is how long something is past, for people: "just now", "3m ago", "2d ago";
// "in 5m" when it is to come.
func Ago(d time.Duration) string {
	form := "%s ago"
	if d < 0 {
		form, d = "in %s", -d
	}
	day := 24 * time.Hour
	switch {
	case d < 5*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf(form, fmt.Sprintf("%ds", d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf(form, fmt.Sprintf("%dm", d/time.Minute))
	case d < day:
		return fmt.Sprintf(form, fmt.Sprintf("%dh", d/time.Hour))
	case d < 60*day:
		return fmt.Sprintf(form, fmt.Sprintf("%dd", d/day))
	default:
		return fmt.Sprintf(form, fmt.Sprintf("%dmo", d/(30*day)))
	}
}
