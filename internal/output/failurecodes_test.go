package output

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

// failureCodes are the documented codes by the table that they stand in, with
// their meaning. internal/event holds the document equal to the code.
func failureCodes(t *testing.T) (refusals, failures map[string]string) {
	t.Helper()
	raw, err := os.ReadFile("../../docs/failure-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	refused, failed, ok := strings.Cut(string(raw), "\n## Failures")
	if !ok {
		t.Fatal("docs/failure-codes.md has no section of failures")
	}
	failed, _, _ = strings.Cut(failed, "\n## Stops") // they are no failures
	row := regexp.MustCompile("(?m)^\\| ((?:`[A-Z0-9_<>n]+`(?:, )?)+) \\| ([^|]+) \\|")
	read := func(s string) map[string]string {
		out := map[string]string{}
		for _, m := range row.FindAllStringSubmatch(s, -1) {
			for _, code := range strings.Split(m[1], ", ") {
				if code = strings.Trim(code, "`"); !strings.Contains(code, "<") {
					out[code] = strings.ReplaceAll(strings.TrimSpace(m[2]), "`", "")
				}
			}
		}
		return out
	}
	refusals, failures = read(refused), read(failed)
	if len(refusals) < 20 || len(failures) < 15 {
		t.Fatalf("the tables name %d and %d codes, which cannot be all", len(refusals), len(failures))
	}
	failures["EXIT_1"] = "an essential container exited"
	return refusals, failures
}

// Every documented code has a golden file of the report that ends with it. A new
// one gets it by: go test ./internal/output -run TestReport_everyCode -update
func TestReport_everyCode(t *testing.T) {
	refusals, failures := failureCodes(t)
	samples := failureSamples()
	show := func(code, meaning string, r event.Result) {
		t.Run(code, func(t *testing.T) {
			name := "failure-" + code
			if _, err := os.Stat(filepath.Join("testdata", name+".golden")); err != nil && !*update {
				t.Fatalf("the code %s has no golden file: go test ./internal/output -run TestReport_everyCode -update, and read what it wrote", code)
			}
			r.Failure = sampleOf(samples, code, meaning)
			got := draw(t, Plain, nil, step{0, "", r}).stderr.String()
			golden(t, name, got)
			wantReport(t, r, strings.Split(got, "\n"))
		})
	}
	for code, meaning := range refusals {
		exit := event.ExitRefused
		if code == "USAGE" || code == "CONFIG" {
			exit = event.ExitUsage
		}
		show(code, meaning, failed(event.Refused, exit, nil))
	}
	for code, meaning := range failures {
		show(code, meaning, endOf(event.Code(code)))
	}
	for code := range samples {
		if refusals[code] == "" && failures[code] == "" {
			t.Errorf("there is a sample of %s, which is no code", code)
		}
	}
	left, err := filepath.Glob("testdata/failure-*.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		code := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "failure-"), ".golden")
		if refusals[code] == "" && failures[code] == "" {
			t.Errorf("%s belongs to no code", path)
		}
	}
}

func sampleOf(samples map[string]*event.Failure, code, meaning string) *event.Failure {
	if f := samples[code]; f != nil {
		f.Code = event.Code(code)
		return f
	}
	return event.Fail(event.Code(code), meaning)
}

// endOf is how a run ends with a code after the service was changed.
func endOf(code event.Code) event.Result {
	r := rolledBack()
	switch code {
	case event.CodeSuperseded:
		r.Outcome, r.ExitCode, r.ServingNow = event.Superseded, event.ExitSuperseded, "weelobackendtask:39 is deploying, 0/1 running"
	case event.CodeInterrupted:
		r.Outcome, r.ExitCode, r.ServingNow = event.InterruptedO, event.ExitInterrupt, "weelobackendtask:27 serves, 1/1 running; weelobackendtask:38 is deploying, 0/1 running"
	case event.CodeInternal:
		r.Outcome, r.ExitCode, r.ServingNow, r.Serving = event.FailedRun, event.ExitInternal, "", ""
	}
	return r
}

// wantReport holds a report against promise 7: a failure of a deployment begins
// with the verdict, what production serves, the cause, the last log line of a
// task, and the next command; a refusal with the cause, and it ends with what
// production serves.
func wantReport(t *testing.T, r event.Result, lines []string) {
	t.Helper()
	f, first := r.Failure, map[tone]string{bad: "error: ", warning: "warning: "}[toneOf(r)]
	if r.Outcome == event.Refused {
		if want := "error: " + f.Message + " [" + string(f.Code) + "]"; lines[0] != want {
			t.Errorf("line 1 = %q, want %q", lines[0], want)
		}
		if last := lines[len(lines)-2]; last != "production was not touched: "+r.ServingNow {
			t.Errorf("the last line = %q, want what production serves", last)
		}
		return
	}
	begins := []string{first, "  production: ", "  cause: " + f.Message + " [" + string(f.Code) + "]", "  next: weelo-deploy "}
	if ofTask(f) || len(f.Logs) > 0 {
		begins = slices.Insert(begins, 3, "  last log: ")
	}
	for i, begin := range begins {
		if !strings.HasPrefix(lines[i], begin) {
			t.Errorf("line %d = %q, want it to begin with %q", i+1, lines[i], begin)
		}
	}
}
