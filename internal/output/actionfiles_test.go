package output

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/redact"
)

// drawInActions runs steps as a step of GitHub Actions would, and gives its
// outputs, its summary and its log.
func drawInActions(t *testing.T, r *redact.Redactor, before string, steps ...step) (outputs, summary, log string) {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": filepath.Join(dir, "output"), "GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary")}
	if err := os.WriteFile(env["GITHUB_STEP_SUMMARY"], []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	o, err := New(Options{Stdout: &stdout, Stderr: &stderr, Redactor: r, Getenv: func(n string) string { return env[n] }, Token: func() string { return "TOKEN" }})
	if err != nil {
		t.Fatal(err)
	}
	emitAll(o, steps)
	read := func(name string) string {
		raw, err := os.ReadFile(env[name])
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	return read("GITHUB_OUTPUT"), read("GITHUB_STEP_SUMMARY"), stderr.String()
}

// assignments reads a file of outputs as the runner does.
func assignments(t *testing.T, text string) map[string]string {
	t.Helper()
	out := map[string]string{}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines)-1; i++ {
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		if !ok {
			t.Fatalf("line %d is no assignment: %q", i+1, lines[i])
		}
		var value []string
		for i++; i < len(lines) && lines[i] != delimiter; i++ {
			value = append(value, lines[i])
		}
		out[name] = strings.Join(value, "\n")
	}
	return out
}

func TestActions_outputs(t *testing.T) {
	for name, c := range map[string]struct {
		steps []step
		want  map[string]string
	}{
		"released": {goodRun(), map[string]string{
			"outcome": "released", "image": repo + "@sha256:9f2c", "digest": "sha256:9f2c", "task-definition": arn38, "revision": "38",
			"previous-revision": "27", "deployment": "ecs-svc/0123456789012345678", "failure-code": "",
		}},
		"rolled back": {crashRun(), map[string]string{
			"outcome": "rolled_back", "image": "", "digest": "", "task-definition": arn38, "revision": "38",
			"previous-revision": "27", "deployment": "", "failure-code": "EXIT_139_SIGSEGV",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			text, _, _ := drawInActions(t, nil, "", c.steps...)
			if d := cmp.Diff(c.want, assignments(t, text)); d != "" {
				t.Errorf("outputs (-want +got):\n%s", d)
			}
		})
	}
}

func TestActions_outputsCannotBeForged(t *testing.T) {
	n := 0
	text := assignment("image", "a\nEND\noutcome<<x\nreleased\nx", func() string { n++; return map[int]string{1: "END"}[n] + strings.Repeat("y", n) })
	if got := assignments(t, text); len(got) != 1 {
		t.Errorf("one output became %v", got)
	}
	drawn := func() func() string { // a delimiter that the value holds is not used
		i := 0
		return func() string { i++; return fmt.Sprintf("END%d", i) }
	}()
	text = assignment("image", "a\nEND1\noutcome<<x", drawn)
	if got, want := assignments(t, text), map[string]string{"image": "a\nEND1\noutcome<<x"}; !cmp.Equal(got, want) {
		t.Errorf("outputs = %q, want %q", got, want)
	}
}

func TestActions_summary(t *testing.T) {
	for name, steps := range map[string][]step{"good": goodRun(), "crash": crashRun()} {
		t.Run(name, func(t *testing.T) {
			_, text, _ := drawInActions(t, nil, "", steps...)
			golden(t, "summary-"+name, text)
		})
	}
}

// What containers write closes no block, makes no link, no mention and no HTML.
func TestActions_summaryCannotBeForged(t *testing.T) {
	evil := "``` </details><script>alert(1)</script> ![x](https://evil) @admin ```` |"
	crash := rolledBack()
	crash.Failure = &event.Failure{Code: "EXIT_1", Message: evil, Evidence: []string{evil}, Hints: []string{evil}, Logs: []string{evil, "```"}}
	_, text, _ := drawInActions(t, nil, "", step{0, "watch", event.Stage{Name: "watch", Index: 1, Total: 1, Status: event.Started}},
		step{1, "watch", event.Task{ID: "t:done, 1, 2", Revision: evil, Status: "RUNNING"}},
		step{1, "watch", event.Log{Task: "t", Container: "c", Text: evil}}, step{1, "watch", event.Note{Level: event.Warn, Text: evil}},
		step{1, "register", event.Diff{From: evil, To: "next", Lines: []string{evil}}}, step{2, "", crash})
	fence := ""
	for _, l := range strings.Split(text, "\n") {
		ticks := l[:len(l)-len(strings.TrimLeft(l, "`"))]
		switch {
		case fence == "" && len(ticks) >= 3 && !strings.Contains(l[len(ticks):], "`"):
			fence = ticks
		case fence != "" && l == fence:
			fence = ""
		case fence == "" && !strings.Contains(l, "`"):
			for _, bad := range []string{"<script", "](", "@admin", "</details><"} {
				if strings.Contains(l, bad) && !strings.Contains(l, `\](`) {
					t.Errorf("%q stands unescaped in %q", bad, l)
				}
			}
		}
	}
	if fence != "" {
		t.Errorf("a block is not closed:\n%s", text)
	}
	for _, l := range strings.Split(text, "\n") {
		if strings.Contains(l, "task t") && strings.Count(l, ":") != 1 {
			t.Errorf("a name of the chart has a colon: %q", l)
		}
	}
}

func TestActions_summaryIsBounded(t *testing.T) {
	long := strings.Repeat("x<`|", 1000)
	crash := rolledBack()
	for range 2000 {
		crash.Failure.Evidence = append(crash.Failure.Evidence, long)
	}
	for _, before := range []int{0, 1 << 19, 1<<20 - 20<<10, 1 << 20} {
		f := &actionFiles{summary: filepath.Join(t.TempDir(), "summary")}
		if err := os.WriteFile(f.summary, bytes.Repeat([]byte("b"), before), 0o644); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			for _, e := range []event.Event{
				event.Task{ID: fmt.Sprint(i, long), Revision: long, Status: "STOPPED", Code: "EXIT_1"}, event.Log{Task: "t", Container: long, Text: long},
				event.Note{Level: event.Warn, Text: long}, event.Diff{From: "a", To: "b", Lines: []string{long, long}},
			} {
				f.run.Record(event.Record{Time: begin.Add(time.Duration(i) * time.Second), Event: e})
			}
		}
		if err := f.record(event.Record{Time: begin.Add(time.Hour), Event: crash}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(f.summary)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 1<<20 {
			t.Errorf("with %d bytes before it the summary has %d bytes, want at most 1 MiB", before, len(text))
		}
		if before < 1<<20-16<<10 && !bytes.Contains(text, []byte("**Production:** weelobackendtask:27 serves")) {
			t.Errorf("with %d bytes before it the summary does not say what serves", before)
		}
	}
}

func TestActions_filesThatCannotBeWrittenAreSaid(t *testing.T) {
	var stdout, stderr bytes.Buffer
	env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": t.TempDir()} // a folder
	o, err := New(Options{Stdout: &stdout, Stderr: &stderr, Getenv: func(n string) string { return env[n] }})
	if err != nil {
		t.Fatal(err)
	}
	emitAll(o, goodRun())
	if !strings.Contains(stderr.String(), "GitHub's files cannot be written") || !strings.Contains(stderr.String(), "released in") {
		t.Errorf("stderr = %s\nwant the warning and the end of the story", stderr.String())
	}
}
