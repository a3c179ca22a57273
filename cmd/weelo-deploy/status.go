package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/output/words"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// statusReport is the JSON form of status (docs/json-output.md).
type statusReport struct {
	Cluster     string             `json:"cluster"`
	Service     string             `json:"service"`
	Healthy     bool               `json:"healthy"`
	State       release.Progress   `json:"state"`
	Summary     string             `json:"summary"`
	Desired     int                `json:"desired"`
	Running     int                `json:"running"`
	Pending     int                `json:"pending"`
	Deployments []statusDeployment `json:"deployments"`
	Tasks       []statusTask       `json:"tasks"`
	Images      []statusImage      `json:"images"`
	Hooks       []statusHook       `json:"hooks"`
	Back        string             `json:"rollbackTarget,omitempty"`
}

type statusDeployment struct {
	ID             string    `json:"id"`
	Status         string    `json:"status"`
	TaskDefinition string    `json:"taskDefinition"`
	RolloutState   string    `json:"rolloutState,omitempty"`
	Desired        int       `json:"desired"`
	Running        int       `json:"running"`
	Pending        int       `json:"pending"`
	FailedTasks    int       `json:"failedTasks"`
	CreatedAt      time.Time `json:"createdAt"`
	By             string    `json:"by,omitempty"`
	Commit         string    `json:"commit,omitempty"`
}

type statusTask struct {
	ID       string    `json:"id"`
	Revision string    `json:"revision"`
	Status   string    `json:"status"`
	Health   string    `json:"health,omitempty"`
	Started  time.Time `json:"startedAt,omitzero"`
}

type statusImage struct {
	Container string `json:"container"`
	Image     string `json:"image"`
	Digest    string `json:"digest,omitempty"`
}

func newStatusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "What serves now, and is it healthy", Args: noArgs,
		Example: "  weelo-deploy status\n  weelo-deploy status --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), "status", func(ctx context.Context, s *session, c release.Clients) error {
				rep, err := readStatus(ctx, c, s.config.Cluster, s.config.Service, a.now())
				if err != nil {
					return err
				}
				if a.wantsJSON() {
					return output.WriteObject(a.stdout, s.redact, rep)
				}
				return s.printStatus(rep)
			})
		},
	}
}

// read runs a command that answers on stdout and tells no story.
func (a *app) read(ctx context.Context, command string, f func(context.Context, *session, release.Clients) error) error {
	s, err := a.begin(command)
	if err != nil {
		return err
	}
	clients, _, err := s.site(ctx, func(text string) { fmt.Fprintln(a.stderr, "warning: "+s.redact.String(text)) })
	if err == nil {
		err = f(ctx, s, clients)
	}
	if err != nil {
		return s.refuse(err)
	}
	return nil
}

func (a *app) wantsJSON() bool { return a.flags.json || a.flags.output == "json" }

func readStatus(ctx context.Context, c release.Clients, cluster, service string, now time.Time) (statusReport, error) {
	svc, err := release.Site{ECS: c.ECS, Cluster: cluster, Service: service}.Read(ctx)
	if err != nil {
		return statusReport{}, err
	}
	def, err := taskdef.Client{API: c.ECS}.Describe(ctx, aws.ToString(svc.TaskDefinition))
	if err != nil {
		return statusReport{}, err
	}
	ledger, err := history.Read(ctx, c.ECS, cluster, service, def.Family())
	if err != nil {
		return statusReport{}, err
	}
	tasks, err := liveTasks(ctx, c.ECS, cluster, service)
	if err != nil {
		return statusReport{}, err
	}
	rep := statusReport{
		Cluster: history.Short(aws.ToString(svc.ClusterArn)), Service: aws.ToString(svc.ServiceName),
		Healthy: history.Completed(svc), State: release.ProgressOf(svc, now), Summary: release.Serves(svc),
		Desired: int(svc.DesiredCount), Running: int(svc.RunningCount), Pending: int(svc.PendingCount),
		Deployments: []statusDeployment{}, Tasks: []statusTask{}, Images: []statusImage{},
		Hooks: readHooks(ctx, c.ECS, svc),
	}
	for _, d := range svc.Deployments {
		t := ledger.Tags[aws.ToString(d.TaskDefinition)]
		rep.Deployments = append(rep.Deployments, statusDeployment{
			ID: aws.ToString(d.Id), Status: aws.ToString(d.Status), TaskDefinition: aws.ToString(d.TaskDefinition), RolloutState: string(d.RolloutState),
			Desired: int(d.DesiredCount), Running: int(d.RunningCount), Pending: int(d.PendingCount), FailedTasks: int(d.FailedTasks),
			CreatedAt: aws.ToTime(d.CreatedAt).UTC(), By: t.By, Commit: t.Commit,
		})
	}
	digests := map[string]string{}
	for _, t := range tasks {
		health := string(t.HealthStatus)
		if health == "UNKNOWN" {
			health = ""
		}
		rep.Tasks = append(rep.Tasks, statusTask{history.Short(aws.ToString(t.TaskArn)), history.Name(aws.ToString(t.TaskDefinitionArn)), aws.ToString(t.LastStatus), health, aws.ToTime(t.StartedAt).UTC()})
		if aws.ToString(t.TaskDefinitionArn) == def.ARN() {
			for _, k := range t.Containers {
				digests[aws.ToString(k.Name)] = aws.ToString(k.ImageDigest)
			}
		}
	}
	for _, k := range def.Containers() {
		rep.Images = append(rep.Images, statusImage{k.Name, k.Image, digests[k.Name]})
	}
	if t, _ := ledger.ByHand(svc); t != nil {
		rep.Back = t.TaskDefinition
	}
	return rep, nil
}

// liveTasks are the service's tasks that are not stopped, oldest first. The API
// lists 100 a page and describes 100 a call.
func liveTasks(ctx context.Context, api release.ECS, cluster, service string) ([]types.Task, error) {
	var out []types.Task
	in := ecs.ListTasksInput{Cluster: &cluster, ServiceName: &service, MaxResults: aws.Int32(100)}
	for more := true; more; more = in.NextToken != nil {
		page, err := api.ListTasks(ctx, &in)
		if err != nil {
			return nil, fmt.Errorf("list the tasks of service %s: %w", service, err)
		}
		in.NextToken = page.NextToken
		if len(page.TaskArns) == 0 {
			continue
		}
		res, err := api.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: page.TaskArns})
		if err != nil {
			return nil, fmt.Errorf("describe the tasks of service %s: %w", service, err)
		}
		out = append(out, res.Tasks...)
	}
	slices.SortStableFunc(out, func(a, b types.Task) int { return aws.ToTime(a.CreatedAt).Compare(aws.ToTime(b.CreatedAt)) })
	return out, nil
}

// shortDigest cuts the digest that s ends with to as much as tells it from others.
func shortDigest(s string) string {
	const length = 12
	head, hex, ok := strings.Cut(s, "sha256:")
	if !ok {
		return s
	}
	return head + "sha256:" + hex[:min(length, len(hex))]
}

func (s *session) printStatus(rep statusReport) error {
	a := s.app
	if a.stdoutTerminal {
		verdict := "healthy"
		if !rep.Healthy {
			verdict = string(rep.State)
		}
		fmt.Fprintf(a.stdout, "%s in %s: %s\n%s\n\n", rep.Service, rep.Cluster, verdict, words.Clean(rep.Summary))
	}
	deployments := s.table("DEPLOYMENT", "STATUS", "REVISION", "ROLLOUT", "RUNNING", "FAILED", "AGE", "BY", "COMMIT").Keep("STATUS", "REVISION", "RUNNING", "AGE")
	for _, d := range rep.Deployments {
		deployments.Row(d.ID, d.Status, history.Name(d.TaskDefinition), d.RolloutState, fmt.Sprintf("%d/%d", d.Running, d.Desired), d.FailedTasks, d.CreatedAt, d.By, d.Commit[:min(10, len(d.Commit))])
	}
	if err := deployments.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	tasks := s.table("TASK", "REVISION", "STATUS", "HEALTH", "AGE").Keep("REVISION", "STATUS", "HEALTH", "AGE")
	for _, t := range rep.Tasks {
		id := t.ID
		if a.stdoutTerminal {
			id = id[:min(8, len(id))]
		}
		tasks.Row(id, t.Revision, t.Status, t.Health, t.Started)
	}
	if err := tasks.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	images := s.table("CONTAINER", "IMAGE", "DIGEST").Keep("CONTAINER", "DIGEST")
	for _, i := range rep.Images {
		ref, digest := i.Image, i.Digest
		if a.stdoutTerminal {
			ref, digest = shortDigest(ref), strings.TrimPrefix(shortDigest(digest), "sha256:")
		}
		images.Row(i.Container, ref, digest)
	}
	if err := images.Flush(); err != nil {
		return err
	}
	if err := s.printHooks(rep.Hooks); err != nil {
		return err
	}
	if rep.Back != "" && a.stdoutTerminal {
		fmt.Fprintf(a.stdout, "\nweelo-deploy rollback would go back to %s\n", history.Name(rep.Back))
	}
	return nil
}
