package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Message is what a webhook is told. Its JSON form is documented in
// docs/notifications.md: members are added, never renamed or removed. It holds no
// log lines and no evidence, which are for those who may see the service's logs.
type Message struct {
	V              int       `json:"v"`
	Event          string    `json:"event"`
	Text           string    `json:"text"` // for people, one or two lines
	Time           time.Time `json:"time"`
	Command        string    `json:"command"`
	Outcome        string    `json:"outcome"`
	ExitCode       int       `json:"exitCode"`
	Cluster        string    `json:"cluster,omitempty"`
	Service        string    `json:"service,omitempty"`
	Image          string    `json:"image,omitempty"`
	TaskDefinition string    `json:"taskDefinition,omitempty"`
	Deployment     string    `json:"deployment,omitempty"`
	Stable         string    `json:"stable,omitempty"`
	Serving        string    `json:"serving,omitempty"`
	Failure        *Failure  `json:"failure,omitempty"`
	By             string    `json:"by,omitempty"`
	Run            string    `json:"run,omitempty"` // page of the CI job
}

// Failure is why a run did not do what was asked.
type Failure struct {
	Code    string `json:"code"`
	Stage   string `json:"stage,omitempty"`
	Message string `json:"message"`
}

// Origin says who and what ended with the result.
type Origin struct {
	By, Run string
	Time    time.Time
}

// About makes the message of a result. It gives false for a result that nobody is
// told of: production was neither touched nor refused to be touched.
func About(res event.Result, o Origin, redact func(string) string) (Message, bool) {
	name := eventOf(res)
	if name == "" {
		return Message{}, false
	}
	m := Message{
		V: 1, Event: name, Time: o.Time.UTC().Truncate(time.Millisecond), Command: res.Command, Outcome: string(res.Outcome), ExitCode: res.ExitCode,
		Cluster: res.Cluster, Service: res.Service, Image: redact(res.Image), TaskDefinition: res.TaskDefinition,
		Deployment: res.Deployment, Stable: res.Stable, Serving: res.Serving, By: redact(o.By), Run: o.Run,
	}
	if f := res.Failure; f != nil {
		m.Failure = &Failure{Code: string(f.Code), Stage: f.Stage, Message: redact(oneLine(f.Message))}
	}
	m.Text = m.text(redact(res.ServingNow))
	return m, true
}

// eventOf is what a result is to those who are told; empty: nothing.
func eventOf(res event.Result) string {
	switch res.Outcome {
	case event.Released:
		return Released
	case event.RolledBack:
		return RolledBack
	case event.FailedRun, event.Superseded, event.Stopped:
		return Failed
	case event.InterruptedO:
		if res.Deployment != "" { // before a deployment nothing has happened
			return Failed
		}
	case event.Refused:
		if res.ExitCode == event.ExitRefused { // exit 2 is a mistake in what was typed
			return Refused
		}
	}
	return ""
}

func (m Message) text(serves string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s: ", last(m.Service), last(m.Cluster))
	revision := last(m.TaskDefinition)
	if revision == "" {
		revision = m.Command
	}
	switch {
	case m.Event == Released:
		b.WriteString(revision + " is released and serves")
	case m.Event == RolledBack && m.Failure == nil:
		b.WriteString("rolled back by hand to " + last(m.Serving))
	case m.Event == RolledBack:
		b.WriteString(revision + " failed and was rolled back")
	case m.Event == Refused:
		b.WriteString(m.Command + " was refused, production was not touched")
	case m.Outcome == string(event.FailedRun):
		b.WriteString(revision + " failed, and production is not known to be healthy")
	default:
		b.WriteString(revision + " was " + m.Outcome)
	}
	if m.Failure != nil {
		fmt.Fprintf(&b, ": %s [%s]", m.Failure.Message, m.Failure.Code)
	}
	if serves != "" && m.Event != Released {
		b.WriteString("\nnow: " + oneLine(serves))
	}
	return b.String()
}

// last is the readable part of an ARN.
func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// slackText is what a Slack webhook takes: text in which three characters have a
// meaning of their own.
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

var slackSign = map[string]string{Released: ":white_check_mark: ", RolledBack: ":leftwards_arrow_with_hook: ", Failed: ":rotating_light: ", Refused: ":no_entry: "}

func (m Message) body(format string) ([]byte, error) {
	if format != Slack {
		return json.Marshal(m)
	}
	text := slackSign[m.Event] + slackText.Replace(m.Text)
	if who := slackText.Replace(m.By); who != "" {
		text += "\nby " + who
	}
	if m.Run != "" {
		text += "\n<" + slackText.Replace(m.Run) + "|the job>"
	}
	return json.Marshal(map[string]any{"text": text, "unfurl_links": false})
}
