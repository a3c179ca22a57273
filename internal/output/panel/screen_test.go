package panel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// terminal understands what Screen writes, and scrolls at its bottom.
type terminal struct {
	t             *testing.T
	columns, high int
	rows          [][]rune
	top, x, y     int // top is the first row on the screen, y the cursor's in rows
}

func newTerminal(t *testing.T, columns, high int) *terminal {
	return &terminal{t: t, columns: columns, high: high, rows: [][]rune{nil}}
}

func (v *terminal) Write(p []byte) (int, error) {
	s := string(p)
	if !strings.HasPrefix(s, beginUpdate) || !strings.HasSuffix(s, endUpdate) {
		v.t.Errorf("a write is no whole update: %q", s)
	}
	text := []rune(s)
	for i := 0; i < len(text); i++ {
		switch r := text[i]; {
		case r == '\x1b':
			end := i + 2
			for text[end] < '@' {
				end++
			}
			v.control(string(text[i+2:end]), text[end])
			i = end
		case r == '\r':
			v.x = 0
		case r == '\n':
			v.down()
		default:
			if v.x == v.columns {
				v.x = 0
				v.down()
			}
			v.put(r)
		}
	}
	return len(p), nil
}

func (v *terminal) control(arg string, final rune) {
	switch final {
	case 'A':
		n := 0
		fmt.Sscan(arg, &n)
		v.y = max(v.y-n, v.top)
	case 'K':
		v.rows[v.y] = v.rows[v.y][:min(v.x, len(v.rows[v.y]))]
	case 'J':
		v.rows[v.y] = v.rows[v.y][:min(v.x, len(v.rows[v.y]))]
		v.rows = v.rows[:v.y+1]
	case 'h', 'l':
	default:
		v.t.Errorf("the sequence %q%c", arg, final)
	}
}

func (v *terminal) down() {
	if v.y++; v.y == len(v.rows) {
		v.rows = append(v.rows, nil)
	}
	v.top = max(v.top, v.y-v.high+1)
}

func (v *terminal) put(r rune) {
	for len(v.rows[v.y]) <= v.x {
		v.rows[v.y] = append(v.rows[v.y], ' ')
	}
	v.rows[v.y][v.x] = r
	v.x++
}

func (v *terminal) String() string {
	var out []string
	for _, r := range v.rows {
		out = append(out, strings.TrimRight(string(r), " "))
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n")
}

// Frames of many heights, with lines that scroll in between, on a screen that is
// soon full: every line that scrolled is there once, and below them the last frame.
func TestScreen_leavesNothingBehind(t *testing.T) {
	v := newTerminal(t, 40, 10)
	s := Screen{W: v, Size: func() (int, int) { return v.columns, v.high }}
	var want []string
	frame := func(n int) []string {
		var out []string
		for i := range 1 + n%9 {
			out = append(out, fmt.Sprintf("frame %d line %d%s", n, i, strings.Repeat("x", n%15)))
		}
		return out
	}
	for n := range 200 {
		scrolled := ""
		for i := range n % 3 {
			want = append(want, fmt.Sprintf("scrolled %d %d", n, i))
			scrolled += want[len(want)-1] + "\n"
		}
		s.Draw(scrolled, frame(n), v.columns)
		if d := cmp.Diff(strings.Join(append(append([]string{}, want...), frame(n)...), "\n"), v.String()); d != "" {
			t.Fatalf("after frame %d (-want +screen):\n%s", n, d)
		}
	}
	s.Leave("the last line\n", []string{"what stays"})
	want = append(want, "the last line", "what stays")
	if d := cmp.Diff(strings.Join(want, "\n"), v.String()); d != "" {
		t.Errorf("at the end (-want +screen):\n%s", d)
	}
}

func TestScreen_writesNothingWhenNothingChanged(t *testing.T) {
	var count counter
	s := Screen{W: &count, Size: func() (int, int) { return 40, 10 }}
	for range 10 {
		s.Draw("", []string{"the same"}, 40)
	}
	if count != 1 {
		t.Errorf("%d writes, want one", count)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c++; return len(p), nil }

// A terminal that became narrower has wrapped the frame: it is found all the same.
func TestScreen_findsItsFrameInANarrowerTerminal(t *testing.T) {
	v := newTerminal(t, 40, 20)
	s := Screen{W: v, Size: func() (int, int) { return v.columns, v.high }}
	s.Draw("before\n", []string{strings.Repeat("a", 35), "b"}, v.columns)
	v.columns = 20 // it wraps the first line, and the cursor moves down with the second
	v.rows = [][]rune{[]rune("before"), []rune(strings.Repeat("a", 20)), []rune(strings.Repeat("a", 15)), []rune("b")}
	v.y = 3
	s.Draw("more\n", []string{"c"}, v.columns)
	if got, want := v.String(), "before\nmore\nc"; got != want {
		t.Errorf("screen = %q, want %q", got, want)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in      string
		columns int
		want    string
	}{
		{"plain", 5, "plain"}, {"plain", 4, "pla…"}, {"注文サービス", 7, "注文サ…"}, {"注文", 3, "注…"}, {"👩‍💻x", 3, "…"}, {"é́abc", 3, "é́a…"}, {"abc", 0, ""},
	} {
		if got := Cut(c.in, c.columns); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.columns, got, c.want)
		}
	}
}
