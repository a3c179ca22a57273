package output

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/summary"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// mostSummary is how large the summary of a step may be; GitHub drops the whole of
// a larger one (1 MiB: "Step isolation and limits" in its documentation). Some is
// left for what the step itself writes.
const mostSummary = 1<<20 - 16<<10

// actionFiles writes what GitHub Actions takes from a step by files: its outputs
// and its summary. Both are only written once there is a result.
type actionFiles struct {
	outputs, summary string // paths; empty: not wanted
	run              chronicle.Run
}

func newActionFiles(getenv func(string) string) *actionFiles {
	return &actionFiles{outputs: getenv("GITHUB_OUTPUT"), summary: getenv("GITHUB_STEP_SUMMARY")}
}

// record takes in what happened. The error says which file could not be written.
func (f *actionFiles) record(r event.Record) error {
	f.run.Record(r)
	e, last := r.Event.(event.Result)
	if !last {
		return nil
	}
	return errors.Join(f.writeOutputs(e), f.writeSummary())
}

func (f *actionFiles) writeOutputs(e event.Result) error {
	if f.outputs == "" {
		return nil
	}
	var b strings.Builder
	for _, o := range outputsOf(e) {
		b.WriteString(assignment(o[0], o[1], func() string { return "end-" + rand.Text() }))
	}
	return appendTo(f.outputs, b.String())
}

// outputsOf are the outputs of a step, all of them always: an empty one overwrites
// that of an earlier command of the step.
func outputsOf(e event.Result) [][2]string {
	_, digest, _ := strings.Cut(e.Image, "@")
	code := ""
	if e.Failure != nil {
		code = string(e.Failure.Code)
	}
	revision := func(arn string) string {
		name := words.Name(arn)
		return name[strings.LastIndexByte(name, ':')+1:]
	}
	return [][2]string{
		{"outcome", string(e.Outcome)}, {"image", e.Image}, {"digest", digest}, {"task-definition", e.TaskDefinition},
		{"revision", revision(e.TaskDefinition)}, {"previous-revision", revision(e.Stable)}, {"deployment", e.Deployment}, {"failure-code", code},
	}
}

// assignment is one output between delimiters that its value does not hold.
func assignment(name, value string, delimiter func() string) string {
	d := delimiter()
	for strings.Contains(value, d) {
		d = delimiter()
	}
	return fmt.Sprintf("%s<<%s\n%s\n%s\n", name, d, value, d)
}

func (f *actionFiles) writeSummary() error {
	if f.summary == "" {
		return nil
	}
	room := mostSummary
	if info, err := os.Stat(f.summary); err == nil {
		room -= int(min(info.Size(), mostSummary))
	}
	return appendTo(f.summary, summary.Markdown(&f.run, room))
}

// appendTo adds text to a file in one write.
func appendTo(path, text string) error {
	if text == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}
