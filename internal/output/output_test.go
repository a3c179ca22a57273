package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
	"github.com/weelo/weelo-deploy/internal/redact"
)

func getenv(vars ...string) func(string) string {
	return func(name string) string {
		for _, v := range vars {
			if k, value, _ := strings.Cut(v, "="); k == name {
				return value
			}
		}
		return ""
	}
}

func TestNew_mode(t *testing.T) {
	for name, c := range map[string]struct {
		flag     string
		env      []string
		terminal bool
		want     Mode
	}{
		"a terminal":                        {terminal: true, want: TTY},
		"no terminal":                       {want: Plain},
		"auto is the default":               {flag: "auto", terminal: true, want: TTY},
		"CI on a terminal":                  {env: []string{"CI=true"}, terminal: true, want: Plain},
		"CI=false on a terminal":            {env: []string{"CI=false"}, terminal: true, want: TTY},
		"a dumb terminal":                   {env: []string{"TERM=dumb"}, terminal: true, want: Plain},
		"GitHub Actions":                    {env: []string{"CI=true", "GITHUB_ACTIONS=true"}, want: GitHub},
		"a flag wins over GitHub Actions":   {flag: "plain", env: []string{"GITHUB_ACTIONS=true"}, want: Plain},
		"a flag wins over CI":               {flag: "tty", env: []string{"CI=true"}, terminal: true, want: TTY},
		"a variable wins over what it sees": {env: []string{"WEELO_DEPLOY_OUTPUT=json", "GITHUB_ACTIONS=true"}, want: JSON},
		"a flag wins over a variable":       {flag: "plain", env: []string{"WEELO_DEPLOY_OUTPUT=json"}, want: Plain},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := New(Options{Mode: c.flag, Getenv: getenv(c.env...), StderrTerminal: c.terminal, Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}})
			if err != nil {
				t.Fatal(err)
			}
			if o.Mode() != c.want {
				t.Errorf("Mode() = %s, want %s", o.Mode(), c.want)
			}
		})
	}
	for flag, want := range map[string]string{
		"jsn": `--output: want one of auto, tty, plain, json, github, have "jsn"`,
		"tty": "--output: tty needs a terminal on stderr",
	} {
		_, err := New(Options{Mode: flag})
		if fs := event.FailuresOf(err); len(fs) != 1 || fs[0].Code != event.CodeUsage || fs[0].Message != want || len(fs[0].Hints) != 1 {
			t.Errorf("New(%q) = %v, want a USAGE failure %q with a hint", flag, err, want)
		}
	}
}

func TestColour(t *testing.T) {
	for name, c := range map[string]struct {
		env      []string
		terminal bool
		want     bool
	}{
		"a terminal":                      {terminal: true, want: true},
		"no terminal":                     {},
		"NO_COLOR set to anything":        {env: []string{"NO_COLOR=no"}, terminal: true},
		"NO_COLOR empty":                  {env: []string{"NO_COLOR="}, terminal: true, want: true},
		"TERM=dumb":                       {env: []string{"TERM=dumb"}, terminal: true},
		"FORCE_COLOR without a terminal":  {env: []string{"FORCE_COLOR=1"}, want: true},
		"FORCE_COLOR=0 on a terminal":     {env: []string{"FORCE_COLOR=0"}, terminal: true, want: true},
		"FORCE_COLOR on a dumb terminal":  {env: []string{"FORCE_COLOR=true", "TERM=dumb"}, terminal: true, want: true},
		"NO_COLOR wins over FORCE_COLOR":  {env: []string{"FORCE_COLOR=1", "NO_COLOR=1"}, terminal: true},
		"FORCE_COLOR=false, no terminal":  {env: []string{"FORCE_COLOR=false"}},
		"TERM of a real terminal is fine": {env: []string{"TERM=xterm-256color"}, terminal: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Colour(getenv(c.env...), c.terminal); got != c.want {
				t.Errorf("Colour = %v, want %v", got, c.want)
			}
		})
	}
}

// Without colour a terminal's cursor still moves, and nothing else is asked of it.
func TestOutput_noColourNoEscapes(t *testing.T) {
	var s screen
	env := map[string]string{"NO_COLOR": "1"}
	o, err := New(Options{Stdout: &s.stdout, Stderr: &s.stderr, StderrTerminal: true, Getenv: func(n string) string { return env[n] }})
	if err != nil {
		t.Fatal(err)
	}
	emitAll(o, crashRun())
	got := regexp.MustCompile(`\x1b\[(\?2026[hl]|[0-9]*A|K|J)`).ReplaceAllString(s.stderr.String(), "")
	if strings.Contains(got, "\x1b") || !strings.Contains(got, "✖ ") {
		t.Errorf("tty without colour = %q, want glyphs and no escape codes", got)
	}
}

// plant fills every string of a value with a new canary each, and reports them.
func plant(v reflect.Value, name string, canaries *[]string) {
	fill(v, name, func(name string) string {
		c := fmt.Sprintf("Canary-%s-%d-x", name, len(*canaries))
		*canaries = append(*canaries, c)
		return "see " + c + " here"
	})
}

// filled is an event of the kind whose every string is text.
func filled(e event.Event, text string) event.Event {
	v := reflect.New(reflect.TypeOf(e)).Elem()
	fill(v, "", func(string) string { return text })
	return v.Interface().(event.Event)
}

// fill sets every string of a value.
func fill(v reflect.Value, name string, text func(name string) string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text(name))
	case reflect.Pointer:
		if strings.Count(name, "Also") > 1 {
			return // failures hold failures
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), name, text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.Type.Kind() != reflect.Interface {
				fill(v.Field(i), name+f.Name, text)
			}
		}
	}
}

func everyEvent() []event.Event {
	return []event.Event{
		event.Stage{}, event.Build{}, event.Log{}, event.Check{}, event.Task{}, event.Deployment{}, event.ServiceEvent{},
		event.Diff{}, event.Note{}, event.Heartbeat{}, event.Result{},
	}
}

// Canaries planted in every field of every event never come out, in any mode.
func TestOutput_masksSecretsInEveryField(t *testing.T) {
	var canaries []string
	var steps []step
	for _, e := range everyEvent() {
		v := reflect.New(reflect.TypeOf(e)).Elem()
		plant(v, string(e.Kind()), &canaries)
		planted := v.Interface().(event.Event)
		steps = append(steps, step{0, "stage", planted})
		for _, shown := range variants(planted) { // as renderers really show them
			steps = append(steps, step{1, "stage", shown})
		}
	}
	if len(canaries) < 80 {
		t.Fatalf("only %d canaries were planted", len(canaries))
	}
	drawIn := func(mode Mode) func(*redact.Redactor) string {
		return func(r *redact.Redactor) string { return draw(t, mode, r, steps...).both() }
	}
	ways := map[string]func(*redact.Redactor) string{
		"report":  func(r *redact.Redactor) string { return pageOf(t, r, steps...) },
		"actions": func(r *redact.Redactor) string { o, s, l := drawInActions(t, r, "", steps...); return o + s + l },
	}
	for _, mode := range []Mode{Plain, TTY, JSON, GitHub} {
		ways[string(mode)] = drawIn(mode)
	}
	for way, drawn := range ways {
		t.Run(way, func(t *testing.T) {
			open := drawn(nil)
			seen := 0
			for _, c := range canaries {
				if strings.Contains(open, c) {
					seen++
				}
			}
			if least := map[string]int{string(JSON): len(canaries)}[way]; seen < max(least, 30) {
				t.Errorf("without a redactor %d of %d canaries are seen: the test shows nothing", seen, len(canaries))
			}
			masked := drawn(redact.New(canaries...))
			for _, c := range canaries {
				if strings.Contains(masked, c) {
					t.Errorf("the output shows %s", c)
				}
			}
		})
	}
}

// variants are an event with the statuses and outcomes that decide how it is
// shown.
func variants(e event.Event) []event.Event {
	var out []event.Event
	switch e := e.(type) {
	case event.Stage:
		for _, e.Status = range []event.Status{event.Done, event.Failed, event.Skipped} {
			out = append(out, e)
		}
	case event.Build:
		for _, e.Status = range []event.Status{event.Started, event.Done, event.Failed} {
			e.Seconds = 5
			out = append(out, e)
		}
	case event.Check:
		for _, e.Status = range []event.Status{event.Done, event.Warned, event.Failed} {
			out = append(out, e)
		}
	case event.Task:
		e.Status = "STOPPED"
		out = append(out, e)
	case event.Note:
		e.Level = event.Warn
		out = append(out, e)
	case event.Result:
		for o, exit := range map[event.Outcome]int{event.Released: 0, event.Refused: 4, event.RolledBack: 3} {
			e.Outcome, e.ExitCode = o, exit
			out = append(out, e)
		}
	}
	return out
}

func TestOutput_masksWhatLooksLikeASecret(t *testing.T) {
	cause := fmt.Errorf("dial postgres://app:hunter2@db failed, Authorization: Bearer hunter2, AWS_SECRET_ACCESS_KEY=hunter2")
	f := event.Fail(event.CodeInternal, "connect").Because(cause)
	for _, mode := range []Mode{Plain, TTY, JSON, GitHub} {
		got := draw(t, mode, nil, step{0, "watch", event.Log{Text: cause.Error()}}, step{0, "", failed(event.FailedRun, 1, f)}).both()
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s shows a secret:\n%s", mode, got)
		}
		if !strings.Contains(got, "connect: dial postgres://***@db") {
			t.Errorf("%s does not show the cause:\n%s", mode, got)
		}
	}
	if f.Cause == nil || f.Evidence != nil {
		t.Error("drawing changed the failure")
	}
}

// A secret that control characters interrupt does not come back together when
// they are taken out.
func TestOutput_masksInterruptedSecrets(t *testing.T) {
	for _, mode := range []Mode{Plain, JSON} {
		got := draw(t, mode, redact.New("hunter2hunter2"), step{0, "watch", event.Log{Text: "hunter2\x1b[0mhunter2"}}).both()
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s shows the secret: %s", mode, got)
		}
	}
}

// Foreign text cannot forge lines, in any field of any event.
func TestOutput_foreignTextStaysOnItsLine(t *testing.T) {
	const evil = "x\n::error::forged\r\n+99:99 [1/1 fake] done\x1b[2K\u202e ##[error]forged"
	fill := func(v reflect.Value) {
		var none []string
		plant(v, "", &none)
		replaceStrings(v, evil)
	}
	var steps []step
	for _, e := range everyEvent() {
		v := reflect.New(reflect.TypeOf(e)).Elem()
		fill(v)
		for _, shown := range append(variants(v.Interface().(event.Event)), v.Interface().(event.Event)) {
			steps = append(steps, step{0, "watch", shown})
		}
	}
	for _, mode := range []Mode{Plain, GitHub} {
		s := draw(t, mode, nil, steps...)
		for _, l := range strings.Split(s.stderr.String(), "\n") {
			command := strings.HasPrefix(strings.TrimSpace(l), "::error::") || strings.Contains(l, "##[") && mode == GitHub
			if command || strings.HasPrefix(l, "+99:99") || words.Clean(l) != l {
				t.Errorf("%s lets a line be forged: %q", mode, l)
			}
		}
	}
	for _, l := range strings.Split(strings.TrimSpace(draw(t, JSON, nil, steps...).stdout.String()), "\n") {
		if !json.Valid([]byte(l)) || strings.ContainsFunc(l, words.Harmful) {
			t.Errorf("not a clean line of JSON: %q", l)
		}
	}
}

func replaceStrings(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		if !v.IsNil() {
			replaceStrings(v.Elem(), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			replaceStrings(v.Index(i), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Type.Kind() != reflect.Interface {
				replaceStrings(v.Field(i), text)
			}
		}
	}
}
