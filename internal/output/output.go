// Package output draws the events of a run for whoever reads them.
//
// New chooses a renderer once: tty and plain tell the story line by line on
// stderr, github does so with the workflow commands of GitHub Actions, json
// writes every record as a line of JSON to stdout. Except for json, stdout is the
// answer: one line, the ARN of the task definition that serves because of this
// run, and only when the exit code is 0.
//
// Nothing reaches a reader unchecked: every string of every event passes the
// Redactor, and in the modes for people Clean as well, before a renderer sees it
// (sanitize.go). Renderers therefore may print what they are given.
//
// Table is for the commands that answer with a list.
package output

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/nearest"
	"github.com/weelo/weelo-deploy/internal/redact"
)

// Mode is a way to write.
type Mode string

// The modes. Auto stands for one of the others.
const (
	Auto   Mode = "auto"
	TTY    Mode = "tty"
	Plain  Mode = "plain"
	JSON   Mode = "json"
	GitHub Mode = "github"
)

// Options say where and how to write.
type Options struct {
	// Mode is the value of --output; empty: WEELO_DEPLOY_OUTPUT, else auto.
	Mode           string
	Stdout, Stderr io.Writer
	Getenv         func(string) string // nil: no variables
	StderrTerminal bool
	// Size is that of the terminal, asked for before each drawing of tty mode; nil,
	// and zero: what is likely.
	Size func() (columns, lines int)
	// Redactor masks known secrets; nil: only what looks like one is masked.
	// Values may be added to it while the run goes on.
	Redactor *redact.Redactor
	// Token makes the token that ends a fence around untrusted text in github
	// mode; nil: random ones.
	Token func() string
}

// Output is the event.Sink of a run. Its methods may be called from any
// goroutine.
type Output struct {
	mu     sync.Mutex
	mode   Mode
	clean  sanitizer
	render renderer
	live   *live        // the panel of a terminal; nil in other modes
	files  *actionFiles // of GitHub Actions; nil in other modes
}

// renderer draws records that are sanitized already.
type renderer interface{ record(event.Record) }

// New chooses the mode and makes its renderer. An unknown mode, or tty without a
// terminal, is a CodeUsage failure.
func New(o Options) (*Output, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	mode, err := resolve(o.Mode, getenv, o.StderrTerminal)
	if err != nil {
		return nil, err
	}
	out := &Output{mode: mode, clean: sanitizer{redactor: o.Redactor, lines: mode != JSON, commands: mode == GitHub}}
	switch mode {
	case JSON:
		out.render = &jsonLines{w: o.Stdout}
	case GitHub:
		out.render = newStory(newGitHubPrinter(o.Stderr, o.Token, getenv("GITHUB_WORKSPACE")), o.Stdout)
		out.files = newActionFiles(getenv)
	case TTY:
		out.live = newLive(o.Stderr, o.Stdout, o.Size, Colour(getenv, o.StderrTerminal))
		out.render = out.live
	default:
		out.render = newStory(&linePrinter{w: o.Stderr}, o.Stdout)
	}
	return out, nil
}

// Mode is the mode that was chosen; never Auto.
func (o *Output) Mode() Mode { return o.mode }

// Title says in the panel of a terminal what the run is about. Other modes have no
// panel, and nothing of this and the next two.
func (o *Output) Title(text string) { o.onPanel(func(l *live) { l.view.Title = o.clean.text(text) }) }

// Hint says there what Ctrl-C does: before anything is deployed, and then.
func (o *Output) Hint(before, then string) {
	o.onPanel(func(l *live) { l.view.Hint, l.view.Then = before, then })
}

// Say puts up a notice there at once, whatever the run is busy with.
func (o *Output) Say(text string) { o.onPanel(func(l *live) { l.say(o.clean.text(text)) }) }

func (o *Output) onPanel(f func(*live)) {
	if o.live != nil {
		o.live.mu.Lock()
		defer o.live.mu.Unlock()
		f(o.live)
	}
}

// Emit implements event.Sink.
func (o *Output) Emit(r event.Record) {
	if v := reflect.ValueOf(r.Event); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	r = o.clean.record(r)
	if o.files != nil {
		if err := o.files.record(r); err != nil { // the story goes on without them
			note := event.Note{Level: event.Warn, Text: "GitHub's files cannot be written: " + err.Error()}
			o.render.record(o.clean.record(event.Record{Time: r.Time, Event: note}))
		}
	}
	o.render.record(r)
}

// variableMode stands for --output.
const variableMode = "WEELO_DEPLOY_OUTPUT"

func resolve(flag string, getenv func(string) string, terminal bool) (Mode, error) {
	name, from := flag, "--output"
	if name == "" {
		name, from = getenv(variableMode), variableMode
	}
	switch m := Mode(name); m {
	case "", Auto:
		return auto(getenv, terminal), nil
	case TTY:
		if !terminal {
			return "", event.Fail(event.CodeUsage, from+": tty needs a terminal on stderr").Hint("use plain")
		}
		return m, nil
	case Plain, JSON, GitHub:
		return m, nil
	}
	modes := []string{string(Auto), string(TTY), string(Plain), string(JSON), string(GitHub)}
	f := event.Fail(event.CodeUsage, fmt.Sprintf("%s: want one of %s, have %q", from, strings.Join(modes, ", "), name))
	if near := nearest.Names(name, modes, 1); len(near) > 0 {
		f.Hint(fmt.Sprintf("did you mean %q?", near[0]))
	}
	return "", f
}

// auto is the mode for whoever seems to read. CI overrules a terminal: some
// CI systems give their steps one that nobody looks at.
func auto(getenv func(string) string, terminal bool) Mode {
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		return GitHub
	case !terminal, InCI(getenv), getenv("TERM") == "dumb":
		return Plain
	default:
		return TTY
	}
}

// InCI says whether this is a CI job: CI is set, and not to 0 or false.
func InCI(getenv func(string) string) bool { return isTrue(getenv("CI")) }

func isTrue(s string) bool { return s != "" && s != "0" && !strings.EqualFold(s, "false") }

// Colour reports whether a stream may be coloured: NO_COLOR set to anything but
// empty switches colour off, FORCE_COLOR (but 0 or false) forces it, TERM=dumb
// and a stream that is no terminal have none.
func Colour(getenv func(string) string, terminal bool) bool {
	switch {
	case getenv("NO_COLOR") != "":
		return false
	case isTrue(getenv("FORCE_COLOR")):
		return true
	default:
		return terminal && getenv("TERM") != "dumb"
	}
}
