// Package summary writes a run as Markdown for the step summary of GitHub Actions:
// the verdict, what serves now, a Mermaid chart of stages and tasks, the task
// definition's difference, findings, and the end of the logs.
//
// Markdown is the one function to call. Text that others wrote stands in code
// blocks whose fence it cannot close, or is escaped; whatever the run held, the
// text is at most as long as asked for, so that GitHub takes it.
package summary

import (
	"fmt"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// Markdown is the summary of a run that has a result, in at most most bytes. Parts
// that do not fit are left out, the least important first; without room for the
// verdict it is empty.
func Markdown(r *chronicle.Run, most int) string {
	if r.Result == nil {
		return ""
	}
	const said = "\n_Some of it did not fit and is left out._\n"
	text, cut := "", false
	for _, part := range []string{verdict(*r.Result), facts(*r.Result), failure(r.Result.Failure), chart(r), diffs(r.Diffs), findings(r), logs(r)} {
		if len(text)+len(part)+len(said) > most {
			cut = true
			continue
		}
		text += part
	}
	if cut && text != "" {
		text += said
	}
	return text
}

func verdict(e event.Result) string {
	mark := "✅"
	switch {
	case e.Outcome == event.InterruptedO, e.Outcome == event.Superseded:
		mark = "⚠️"
	case e.ExitCode != event.ExitOK && e.ExitCode != event.ExitPlanChanges:
		mark = "❌"
	}
	what := e.Command
	if e.Service != "" {
		what += " on " + words.Name(e.Service)
	}
	how := strings.ReplaceAll(string(e.Outcome), "_", " ")
	text := fmt.Sprintf("## %s %s: %s\n\n", mark, escape(what), escape(how))
	where := "Production"
	if e.Rehearsal {
		where = "Production was not touched; the sandbox"
	}
	switch {
	case e.ServingNow != "":
		text += fmt.Sprintf("**%s:** %s\n\n", where, escape(e.ServingNow))
	case e.Serving != "":
		text += fmt.Sprintf("**%s:** %s serves\n\n", where, escape(words.Name(e.Serving)))
	}
	return text
}

// facts are what the run made, as a table.
func facts(e event.Result) string {
	var rows []string
	row := func(name, value string) {
		if value != "" {
			rows = append(rows, fmt.Sprintf("| %s | %s |\n", name, code(value)))
		}
	}
	row("Revision", words.Name(e.TaskDefinition))
	row("Before", words.Name(e.Stable))
	row("Image", e.Image)
	row("Deployment", e.Deployment)
	if e.Timings.TotalSeconds > 0 {
		row("Took", words.Took(e.Timings.TotalSeconds))
	}
	row("Exit code", fmt.Sprint(e.ExitCode))
	return "| | |\n|---|---|\n" + strings.Join(rows, "") + "\n"
}

// mostItems is how much of each kind a failure lists; the log has the rest.
const mostItems = 20

// failure is why it failed: the first in full, further findings of the same look
// by their message.
func failure(f *event.Failure) string {
	if f == nil {
		return ""
	}
	text := fmt.Sprintf("**Cause:** %s %s\n\n", escape(f.Message), code(string(f.Code)))
	for _, list := range []struct {
		name  string
		items []string
		show  func(string) string
	}{{"Evidence", f.Evidence, code}, {"Hint", f.Hints, escape}, {"Next", f.Next, code}} {
		for _, s := range list.items[:min(len(list.items), mostItems)] {
			text += fmt.Sprintf("- %s: %s\n", list.name, list.show(words.Cut(s, words.Longest)))
		}
	}
	for _, also := range f.Also[:min(len(f.Also), mostItems)] {
		text += fmt.Sprintf("- Also: %s %s\n", escape(words.Cut(also.Message, words.Longest)), code(string(also.Code)))
	}
	return text + "\n"
}

func diffs(list []event.Diff) string {
	const most = 300 // lines
	text := ""
	for _, d := range list {
		if len(d.Lines) == 0 {
			continue
		}
		lines := make([]string, 0, len(d.Lines))
		for i, l := range d.Lines {
			if i == most {
				lines = append(lines, fmt.Sprintf("… and %d more", len(d.Lines)-most))
				break
			}
			// A change is "~" in our words; the highlighter knows it as "!".
			if rest, ok := strings.CutPrefix(l, "~"); ok {
				l = "!" + rest
			}
			lines = append(lines, words.Cut(l, words.Longest))
		}
		text += fmt.Sprintf("### Task definition %s → %s\n\n%s\n", escape(words.Name(d.From)), escape(words.Name(d.To)), fenced("diff", lines))
	}
	return text
}

func findings(r *chronicle.Run) string {
	const most = 30
	text, n := "", 0
	for _, f := range r.Findings {
		if f.Status == event.Done {
			continue
		}
		if n++; n > most {
			continue
		}
		text += fmt.Sprintf("- %s %s: %s\n", map[event.Status]string{event.Warned: "⚠️", event.Failed: "❌"}[f.Status], escape(f.Stage), escape(words.Cut(f.Text, words.Longest)))
	}
	if n > most {
		text += fmt.Sprintf("- and %d more\n", n-most)
	}
	if text == "" {
		return ""
	}
	return "### Findings\n\n" + text + "\n"
}

// logs are the last words of what failed and of the service, folded away when
// nothing failed.
func logs(r *chronicle.Run) string {
	const most = 60
	text := ""
	if f := r.Result.Failure; f != nil && len(f.Logs) > 0 {
		text += "### Last lines of what failed\n\n" + fenced("text", tail(f.Logs, most)) + "\n"
	}
	if len(r.Lines) == 0 {
		return text
	}
	lines := make([]string, 0, len(r.Lines))
	for _, l := range r.Lines {
		lines = append(lines, fmt.Sprintf("%s %s | %s", l.At.UTC().Format("15:04:05"), l.Who, l.Text))
	}
	return text + "<details><summary>Logs and service events</summary>\n\n" + fenced("text", tail(lines, most)) + "\n</details>\n"
}

func tail(lines []string, most int) []string {
	out := make([]string, 0, most)
	for _, l := range lines[max(0, len(lines)-most):] {
		out = append(out, words.Cut(l, words.Longest))
	}
	return out
}
