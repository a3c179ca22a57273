package output

import (
	"fmt"
	"io"
	"strings"

	"github.com/weelo/weelo-deploy/internal/redact"
)

// Finding is one line of doctor's answer, and below it what mends it.
type Finding struct {
	Status             string // "ok", "skip", "warn" or "fail"
	Name, Detail, Mend string
}

// tones are how good the news of a status is.
var tones = map[string]tone{"ok": good, "warn": warning, "fail": bad, "skip": quiet}

// WriteFindings writes findings for people, one a line with what mends it below,
// and a line that sums them up. The words say all that colour does.
func WriteFindings(w io.Writer, r *redact.Redactor, colour bool, found []Finding) error {
	p := linePrinter{colour: colour}
	clean := sanitizer{redactor: r, lines: true}
	width, count := 0, map[string]int{}
	for _, f := range found {
		width = max(width, len(f.Name))
		count[f.Status]++
	}
	var b strings.Builder
	for i, f := range found {
		fmt.Fprintf(&b, "%s  %-*s  %s\n", p.paint(tones[f.Status], fmt.Sprintf("%-4s", f.Status)), width, clean.text(f.Name), clean.text(f.Detail))
		once := i+1 == len(found) || found[i+1].Mend != f.Mend // below the last of those that it mends
		if f.Mend != "" && once {
			fmt.Fprintf(&b, "%*s%s\n", width+8, "", "→ "+clean.text(f.Mend))
		}
	}
	b.WriteString("\n" + summed(count) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func summed(count map[string]int) string {
	warnings := counted(count["warn"], "warning")
	if count["fail"] == 0 {
		return "a release can start; " + warnings
	}
	return counted(count["fail"], "check") + " failed: a release would be refused or would fail; " + warnings
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
