package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/output/words"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/taskdef"
	"github.com/weelo/weelo-deploy/internal/timeline"
)

// logsReport is the JSON form of logs (docs/json-output.md).
type logsReport struct {
	Cluster string           `json:"cluster"`
	Service string           `json:"service"`
	Entries []timeline.Entry `json:"entries"`
	Left    int              `json:"left"`
	More    bool             `json:"more,omitempty"`
	Notes   []string         `json:"notes"`
}

// logsFlags are the flags of logs.
type logsFlags struct {
	follow, failed bool
	revision       string
	since          time.Duration
	tail           int
}

func newLogsCommand(a *app) *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use: "logs", Short: "Tasks, service events and log lines on one timeline", Args: noArgs,
		Long: `logs shows what became of the service's tasks, the service's own events, and what
the containers wrote to CloudWatch Logs (awslogs), in the order in which it happened.

ECS keeps stopped tasks for an hour. The lines of an older revision are found by
the times in which it was being deployed.`,
		Example: `  weelo-deploy logs --failed             # why it failed
  weelo-deploy logs --revision 38
  weelo-deploy logs --follow --since 5m`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return a.refuseFailure("logs", err)
			}
			return a.read(cmd.Context(), "logs", func(ctx context.Context, s *session, c release.Clients) error { return s.logs(ctx, c, f) })
		},
	}
	p := cmd.Flags()
	p.BoolVarP(&f.follow, "follow", "f", false, "go on until Ctrl-C")
	p.BoolVar(&f.failed, "failed", false, "only tasks that failed")
	p.StringVar(&f.revision, "revision", "", "only tasks of this `REVISION` (38, family:38 or an ARN)")
	p.DurationVar(&f.since, "since", 0, "only what happened this `DURATION` ago or later, such as 10m")
	p.IntVar(&f.tail, "tail", 200, "only the newest `N` entries; 0: all")
	return cmd
}

func (f logsFlags) check() *event.Failure {
	switch {
	case f.revision != "" && !release.IsRevision(f.revision):
		return event.Fail(event.CodeUsage, fmt.Sprintf("--revision: %q is not a revision", f.revision)).Hint("write a revision's number (38), its name (family:38) or its ARN")
	case f.tail < 0:
		return event.Fail(event.CodeUsage, fmt.Sprintf("--tail wants a number of entries, not %d", f.tail))
	case f.since < 0:
		return event.Fail(event.CodeUsage, fmt.Sprintf("--since wants a time that is past, not %s", f.since))
	}
	return nil
}

func (s *session) logs(ctx context.Context, c release.Clients, f logsFlags) error {
	reader, q, err := s.timeline(ctx, c, f)
	if err != nil {
		return err
	}
	found, err := reader.Read(ctx, q)
	if err != nil {
		return err
	}
	a := s.app
	if a.wantsJSON() && !f.follow {
		return output.WriteObject(a.stdout, s.redact, logsReport{
			Cluster: history.Short(q.Cluster), Service: history.Short(q.Service), Entries: found.Entries, Left: found.Left, More: found.More, Notes: found.Notes,
		})
	}
	show := s.entryPrinter()
	if found.Left > 0 || found.More {
		s.remark("older entries are not shown; --tail 0 shows all")
	}
	for _, e := range found.Entries {
		show(e)
	}
	if len(found.Entries) == 0 && !f.follow {
		s.remark("nothing is known: no task" + map[bool]string{true: " that failed", false: ""}[f.failed] + ", no event, no line (ECS keeps stopped tasks for an hour)")
	}
	s.remark(found.Notes...)
	if f.follow {
		reader.Follow(ctx, q, show, func(n string) { s.remark(n) })
	}
	return nil
}

// timeline prepares a reader and what to ask it.
func (s *session) timeline(ctx context.Context, c release.Clients, f logsFlags) (*timeline.Reader, timeline.Query, error) {
	q := timeline.Query{Cluster: s.config.Cluster, Service: s.config.Service, Failed: f.failed, Most: f.tail}
	if f.since > 0 {
		q.Since = s.app.now().Add(-f.since)
	}
	svc, err := release.Site{ECS: c.ECS, Cluster: q.Cluster, Service: q.Service}.Read(ctx)
	if err != nil {
		return nil, q, err
	}
	api, ok := c.Log.(timeline.Logs)
	if !ok {
		return nil, q, fmt.Errorf("the client for CloudWatch Logs cannot search")
	}
	definitions := map[string]*taskdef.Definition{}
	describe := func(ctx context.Context, arn string) (health.Definition, error) {
		if d := definitions[arn]; d != nil {
			return d, nil
		}
		d, err := taskdef.Client{API: c.ECS}.Describe(ctx, arn)
		if err != nil {
			return nil, err
		}
		definitions[arn] = d
		return d, nil
	}
	if f.revision != "" {
		arn := history.SameFamily(aws.ToString(svc.TaskDefinition), history.Name(f.revision))
		if !strings.Contains(history.Name(f.revision), ":") {
			family, _, _ := strings.Cut(history.Name(aws.ToString(svc.TaskDefinition)), ":")
			arn = history.SameFamily(aws.ToString(svc.TaskDefinition), family+":"+f.revision)
		}
		if _, err := describe(ctx, arn); errors.Is(err, taskdef.ErrNotFound) {
			return nil, q, event.Fail(event.CodeNotFound, "there is no revision "+history.Name(arn)).Try("weelo-deploy history")
		} else if err != nil {
			return nil, q, err
		}
		q.Revision = history.Revision(arn)
		if err := s.deployedAt(ctx, c, &q, definitions[arn]); err != nil {
			return nil, q, err
		}
	}
	return &timeline.Reader{ECS: c.ECS, Logs: api, Definition: describe}, q, nil
}

// deployedAt finds the times in which a revision was being deployed.
func (s *session) deployedAt(ctx context.Context, c release.Clients, q *timeline.Query, d *taskdef.Definition) error {
	l, err := history.Read(ctx, c.ECS, q.Cluster, q.Service, d.Family())
	if err != nil {
		return err
	}
	q.Forgotten = d
	for _, k := range d.Containers() {
		q.Containers = append(q.Containers, k.Name)
	}
	for _, at := range l.Attempts {
		if at.TaskDefinition != d.ARN() {
			continue
		}
		to := at.Finished
		if to.IsZero() {
			to = s.app.now()
		}
		q.Deployed = append(q.Deployed, timeline.Window{From: at.Created, To: to})
	}
	return nil
}

// remark says on stderr what is no entry.
func (s *session) remark(notes ...string) {
	for _, n := range notes {
		fmt.Fprintln(s.app.stderr, "note: "+words.Clean(s.redact.String(n)))
	}
}

// entryPrinter prints entries: for people in words, for scripts as tab-separated
// fields, or as lines of JSON.
func (s *session) entryPrinter() func(timeline.Entry) {
	a := s.app
	safe := func(t string) string { return words.Clean(s.redact.String(t)) }
	colour := a.stdoutTerminal && output.Colour(a.getenv, a.stdoutTerminal)
	day := ""
	return func(e timeline.Entry) {
		switch {
		case a.wantsJSON():
			if err := output.WriteObject(a.stdout, s.redact, e); err != nil {
				s.remark(err.Error())
			}
			return
		case !a.stdoutTerminal:
			fmt.Fprintln(a.stdout, strings.Join([]string{e.At.Format("2006-01-02T15:04:05.000Z"), string(e.Kind), safe(e.Task), safe(e.Revision), safe(e.Container), safe(e.Code), safe(e.Text)}, "\t"))
			return
		}
		if d := e.At.Format("2006-01-02"); d != day {
			day = d
			fmt.Fprintln(a.stdout, d+" UTC")
		}
		text := safe(e.Text)
		if e.Code != "" {
			text += " [" + safe(e.Code) + "]"
		}
		if e.Code != "" && colour {
			text = "\x1b[31m" + text + "\x1b[0m"
		}
		mark := map[timeline.Kind]string{timeline.Task: "●", timeline.Event: "◆", timeline.Log: "│"}[e.Kind]
		who := strings.TrimSpace(words.ID(e.Task) + " " + cmp.Or(e.Container, e.Revision))
		if e.Kind == timeline.Event {
			who = "ECS"
		}
		fmt.Fprintf(a.stdout, "%s %s %s %s\n", e.At.Format("15:04:05.000"), mark, safe(who), text)
	}
}
