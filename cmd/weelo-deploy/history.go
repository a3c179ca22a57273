package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/output/words"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// historyReport is the JSON form of history (docs/json-output.md).
type historyReport struct {
	Cluster  string         `json:"cluster"`
	Service  string         `json:"service"`
	Serving  string         `json:"serving"`
	Attempts []historyEntry `json:"deployments"`
	Back     string         `json:"rollbackTarget,omitempty"`
	BackWhy  string         `json:"rollbackWhy,omitempty"`
	PassedBy []historyPass  `json:"passedOver"`
	Notes    []string       `json:"notes"`
}

type historyEntry struct {
	TaskDefinition string            `json:"taskDefinition"`
	Status         string            `json:"status"`
	Outcome        string            `json:"outcome"`
	Code           string            `json:"code,omitempty"`
	Reason         string            `json:"reason,omitempty"`
	WentBackTo     string            `json:"wentBackTo,omitempty"`
	Created        time.Time         `json:"createdAt"`
	Finished       time.Time         `json:"finishedAt,omitzero"`
	Commit         string            `json:"commit,omitempty"`
	By             string            `json:"by,omitempty"`
	Digests        map[string]string `json:"digests,omitempty"`
	Serving        bool              `json:"serving,omitempty"`
}

type historyPass struct {
	TaskDefinition string `json:"taskDefinition"`
	Why            string `json:"why"`
}

func newHistoryCommand(a *app) *cobra.Command {
	var limit int
	var graph bool
	cmd := &cobra.Command{
		Use: "history", Short: "What was deployed, how it went, and where rollback would go", Args: noArgs,
		Example: "  weelo-deploy history\n  weelo-deploy history --graph\n  weelo-deploy history --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return a.refuseUsage("history", fmt.Sprintf("--limit wants a number of deployments, not %d", limit))
			}
			return a.read(cmd.Context(), "history", func(ctx context.Context, s *session, c release.Clients) error {
				rep, err := readHistory(ctx, c, s.config.Cluster, s.config.Service)
				if err != nil {
					return err
				}
				if limit > 0 && len(rep.Attempts) > limit {
					rep.Attempts = rep.Attempts[:limit]
				}
				if a.wantsJSON() {
					return output.WriteObject(a.stdout, s.redact, rep)
				}
				return s.printHistory(rep, graph)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "show only the newest `N` deployments")
	cmd.Flags().BoolVar(&graph, "graph", false, "draw what served as a line, and beside it what did not")
	return cmd
}

// refuseUsage ends a command whose flags ask for what cannot be, before it talks
// to anybody.
func (a *app) refuseUsage(command, text string) error {
	return a.refuseFailure(command, event.Fail(event.CodeUsage, text))
}

// refuseFailure is refuseUsage with a failure that says more.
func (a *app) refuseFailure(command string, f *event.Failure) error {
	s, err := a.begin(command)
	if err != nil {
		return err
	}
	return s.refuse(f.Try("weelo-deploy " + command + " --help"))
}

func readHistory(ctx context.Context, c release.Clients, cluster, service string) (historyReport, error) {
	svc, err := release.Site{ECS: c.ECS, Cluster: cluster, Service: service}.Read(ctx)
	if err != nil {
		return historyReport{}, err
	}
	def, err := taskdef.Client{API: c.ECS}.Describe(ctx, aws.ToString(svc.TaskDefinition))
	if err != nil {
		return historyReport{}, err
	}
	l, err := history.Read(ctx, c.ECS, cluster, service, def.Family())
	if err != nil {
		return historyReport{}, err
	}
	rep := historyReport{
		Cluster: history.Short(aws.ToString(svc.ClusterArn)), Service: aws.ToString(svc.ServiceName), Serving: release.ServingARN(svc),
		Attempts: []historyEntry{}, PassedBy: []historyPass{}, Notes: append([]string{}, l.Notes...),
	}
	served := false
	for _, at := range l.Attempts {
		t := l.Tags[at.TaskDefinition]
		e := historyEntry{
			TaskDefinition: at.TaskDefinition, Status: string(at.Status), Outcome: l.Outcome(at), Reason: at.Reason, WentBackTo: at.WentBackTo,
			Created: at.Created.UTC(), Finished: at.Finished.UTC(), Commit: t.Commit, By: t.By, Digests: at.Digests,
		}
		if e.Code = l.Failure(at); e.Code == "" && !at.Succeeded() {
			e.Code = t.Code
		}
		if !served && at.Succeeded() && at.TaskDefinition == rep.Serving {
			e.Serving, served = true, true
		}
		rep.Attempts = append(rep.Attempts, e)
	}
	target, passed := l.ByHand(svc)
	if target != nil {
		rep.Back, rep.BackWhy = target.TaskDefinition, target.Why
	}
	for _, p := range passed {
		rep.PassedBy = append(rep.PassedBy, historyPass{p.TaskDefinition, p.Why})
	}
	return rep, nil
}

// shortOutcome is the outcome of an entry for a terminal: that it failed is in its
// code, and the family is its own.
func shortOutcome(e historyEntry) string {
	back, ok := strings.CutPrefix(e.Outcome, "failed, rolled back to ")
	if !ok {
		return e.Outcome
	}
	family, _, _ := strings.Cut(history.Name(e.TaskDefinition), ":")
	return "rolled back to " + strings.TrimPrefix(back, family+":")
}

func (s *session) printHistory(rep historyReport, graph bool) error {
	a := s.app
	t := s.table("", "REVISION", "OUTCOME", "CODE", "AGE", "BY", "COMMIT").Keep("REVISION", "CODE", "AGE")
	marks := graphMarks(rep.Attempts)
	for i, e := range rep.Attempts {
		mark := " "
		if e.Serving {
			mark = "*"
		}
		if graph {
			mark = marks[i]
		}
		outcome, commit := e.Outcome, e.Commit[:min(10, len(e.Commit))]
		if a.stdoutTerminal {
			outcome, commit = shortOutcome(e), commit[:min(7, len(commit))]
		}
		t.Row(mark, history.Name(e.TaskDefinition), outcome, e.Code, e.Created, e.By, commit)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if !a.stdoutTerminal { // stdout stays the table
		fmt.Fprintln(a.stderr, s.redact.String(wayBack(rep)))
		return nil
	}
	if len(rep.Attempts) == 0 {
		fmt.Fprintln(a.stdout, "no deployments of this service are recorded (ECS keeps them for 90 days)")
	}
	for _, n := range rep.Notes {
		fmt.Fprintln(a.stdout, "note: "+words.Clean(n))
	}
	fmt.Fprintln(a.stdout)
	fmt.Fprintln(a.stdout, wayBack(rep))
	for _, p := range rep.PassedBy {
		fmt.Fprintf(a.stdout, "  not %s: %s\n", history.Name(p.TaskDefinition), words.Clean(p.Why))
	}
	return nil
}

// wayBack says in one line where rollback would go, and why.
func wayBack(rep historyReport) string {
	if rep.Back == "" {
		return "weelo-deploy rollback has nothing to go back to"
	}
	return fmt.Sprintf("weelo-deploy rollback would go back to %s (%s)", history.Name(rep.Back), words.Clean(rep.BackWhy))
}
