package output

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/redact"
)

func history(o TableOptions) *Table {
	o.Now = func() time.Time { return begin }
	t := NewTable(o, "", "REVISION", "OUTCOME", "AGE", "BY")
	at := begin.Add(-3 * time.Hour)
	t.Row("●", "weelobackendtask:38", "proven", at, "ana")
	t.Row("", "weelobackendtask:37", "failed\tEXIT_139", &at, "日本語の名前 👩‍💻 with a long tail")
	t.Row("", "weelobackendtask:36", 5, time.Time{}, "secret1\nx")
	return t
}

func TestTable(t *testing.T) {
	for name, c := range map[string]struct {
		o    TableOptions
		want string
	}{
		"on a terminal": {TableOptions{Terminal: true, Width: 120, Redactor: redact.New("secret1")}, "" +
			"   REVISION             OUTCOME             AGE     BY\n" +
			"●  weelobackendtask:38  proven              3h ago  ana\n" +
			"   weelobackendtask:37  failed    EXIT_139  3h ago  日本語の名前 👩‍💻 with a long tail\n" +
			"   weelobackendtask:36  5                           *** ⏎ x\n"},
		"on a narrow terminal": {TableOptions{Terminal: true, Width: 50, Redactor: redact.New("secret1")}, "" +
			"   REVISION     OUTCOME       AGE     BY\n" +
			"●  weelobacke…  proven        3h ago  ana\n" +
			"   weelobacke…  failed    E…  3h ago  日本語の名…\n" +
			"   weelobacke…  5                     *** ⏎ x\n"},
		"piped": {TableOptions{Width: 50, Redactor: redact.New("secret1")}, "" +
			"●\tweelobackendtask:38\tproven\t2026-11-22T06:14:00Z\tana\n" +
			"\tweelobackendtask:37\tfailed    EXIT_139\t2026-11-22T06:14:00Z\t日本語の名前 👩‍💻 with a long tail\n" +
			"\tweelobackendtask:36\t5\t\t*** ⏎ x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			c.o.Out = &b
			if err := history(c.o).Flush(); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, b.String()); d != "" {
				t.Errorf("table (-want +got):\n%s", d)
			}
			for _, l := range strings.Split(b.String(), "\n") {
				if w := displaywidth.String(l); c.o.Terminal && w > c.o.Width {
					t.Errorf("a line is %d columns wide, want at most %d: %s", w, c.o.Width, l)
				}
			}
		})
	}
	t.Run("what matters is cut last, and empty columns are left out", func(t *testing.T) {
		for width, want := range map[int]string{
			50: "REVISION             OUTCOME              AGE\nweelobackendtask:38  rolled back to wee…  just now\n",
			30: "REVISION      OUTCO…  AGE\nweelobacken…  rolle…  just now\n",
		} {
			var b bytes.Buffer
			tab := NewTable(TableOptions{Out: &b, Terminal: true, Width: width, Now: func() time.Time { return begin }}, "", "REVISION", "CODE", "OUTCOME", "AGE").Keep("REVISION", "AGE")
			tab.Row(" ", "weelobackendtask:38", "", "rolled back to weelobackendtask:27", begin)
			if err := tab.Flush(); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, b.String()); d != "" {
				t.Errorf("table (-want +got):\n%s", d)
			}
		}
	})
	t.Run("without rows", func(t *testing.T) {
		var b bytes.Buffer
		if err := NewTable(TableOptions{Out: &b, Terminal: true}, "A").Flush(); err != nil || b.Len() > 0 {
			t.Errorf("Flush wrote %q, %v, want nothing", b.String(), err)
		}
	})
	t.Run("a thousand rows line up", func(t *testing.T) {
		var b bytes.Buffer
		tab := NewTable(TableOptions{Out: &b, Terminal: true, Width: 80}, "N", "TEXT", "X")
		for i := range 1000 {
			tab.Row(i, strings.Repeat("w", i%90), "x")
		}
		if err := tab.Flush(); err != nil {
			t.Fatal(err)
		}
		for i, l := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
			if w := displaywidth.String(l); w != 80 && i > 0 {
				t.Fatalf("line %d is %d columns wide, want 80: %s", i, w, l)
			}
		}
	})
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "just now", 59 * time.Second: "59s ago", 61 * time.Second: "1m ago", 25 * time.Hour: "1d ago", 100 * 24 * time.Hour: "3mo ago", -5 * time.Minute: "in 5m",
	} {
		if got := Ago(d); got != want {
			t.Errorf("Ago(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTable_neverCutsAColumnThatIsToBeWhole(t *testing.T) {
	for _, width := range []int{100, 60, 20} {
		var b bytes.Buffer
		tab := NewTable(TableOptions{Out: &b, Terminal: true, Width: width}, "NAME", "ADDRESS", "LOG").Keep("NAME").Whole("ADDRESS")
		tab.Row("default", "http://127.0.0.1:8477", "/home/ana/.cache/weelo-deploy/background/a-name-that-is-long/log-of-this-sandbox-with-more-words")
		if err := tab.Flush(); err != nil {
			t.Fatal(err)
		}
		if out := b.String(); !strings.Contains(out, "http://127.0.0.1:8477 ") || !strings.Contains(out, "…") {
			t.Errorf("in %d columns the table is\n%s", width, out)
		}
	}
}
