package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/redact"
	"github.com/weelo/weelo-deploy/internal/release"
)

// printed is what a read command prints: for people, and for scripts.
func printed(t *testing.T, terminal bool, print func(*session) error) string {
	t.Helper()
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &out, stdoutTerminal: terminal, now: func() time.Time { return time.Unix(1e9, 0) }, getenv: func(string) string { return "" }}
	if err := print(&session{app: a, redact: redact.New()}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestReadCommands_sizes(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		st := statusReport{Service: "web", Cluster: "c", Summary: "nothing serves"}
		hist := historyReport{Service: "web"}
		for i := range n {
			st.Tasks = append(st.Tasks, statusTask{ID: fmt.Sprintf("%032d", i), Revision: "web:1", Status: "RUNNING"})
			hist.Attempts = append(hist.Attempts, historyEntry{TaskDefinition: fmt.Sprintf("arn:x/web:%d", n-i), Outcome: "succeeded", Created: time.Unix(int64(1e9-i), 0)})
		}
		for _, terminal := range []bool{false, true} {
			t.Run(fmt.Sprint(n, " on a terminal ", terminal), func(t *testing.T) {
				got := printed(t, terminal, func(s *session) error { return s.printStatus(st) })
				if have := strings.Count(got, "web:1"); have != n {
					t.Errorf("status shows %d tasks, want %d", have, n)
				}
				got = printed(t, terminal, func(s *session) error { return s.printHistory(hist, true) })
				if have := strings.Count(got, "●"); have != n {
					t.Errorf("history shows %d deployments, want %d:\n%.500s", have, n, got)
				}
				if n == 0 && terminal && !strings.Contains(got, "no deployments of this service are recorded") {
					t.Errorf("history of nothing says %q", got)
				}
			})
		}
	}
}

func TestHistory_graph(t *testing.T) {
	done := time.Unix(1e9, 0)
	list := []historyEntry{
		{TaskDefinition: "arn:x/web:40", Outcome: "in progress"},
		{TaskDefinition: "arn:x/web:27", Outcome: "succeeded", Finished: done, Serving: true},
		{TaskDefinition: "arn:x/web:39", Outcome: "failed, rolled back to web:38", Finished: done},
		{TaskDefinition: "arn:x/web:27", Outcome: "succeeded", Finished: done},
		{TaskDefinition: "arn:x/web:38", Outcome: "succeeded", Finished: done},
		{TaskDefinition: "arn:x/web:27", Outcome: "succeeded", Finished: done},
	}
	if got, want := graphMarks(list), []string{"├─○", "◉", "├─✖", "↺", "●", "●"}; !slices.Equal(got, want) {
		t.Errorf("marks = %q, want %q", got, want)
	}
}

// pages lists tasks by tens and refuses to describe more than a hundred.
type pages struct {
	release.ECS
	n int
}

func (p pages) ListTasks(_ context.Context, in *ecs.ListTasksInput, _ ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
	from, _ := strconv.Atoi(aws.ToString(in.NextToken))
	out := &ecs.ListTasksOutput{}
	for i := from; i < min(from+10, p.n); i++ {
		out.TaskArns = append(out.TaskArns, fmt.Sprint("arn:task/", i))
	}
	if from+10 < p.n {
		out.NextToken = aws.String(strconv.Itoa(from + 10))
	}
	return out, nil
}

func (p pages) DescribeTasks(_ context.Context, in *ecs.DescribeTasksInput, _ ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error) {
	if len(in.Tasks) == 0 || len(in.Tasks) > 100 {
		return nil, fmt.Errorf("%d tasks in one call", len(in.Tasks))
	}
	out := &ecs.DescribeTasksOutput{}
	for _, arn := range in.Tasks {
		out.Tasks = append(out.Tasks, types.Task{TaskArn: &arn})
	}
	return out, nil
}

func TestStatus_readsEveryPageOfTasks(t *testing.T) {
	for _, n := range []int{0, 1, 10, 1000} {
		got, err := liveTasks(t.Context(), pages{n: n}, "c", "web")
		if err != nil || len(got) != n {
			t.Errorf("%d tasks of %d, %v", len(got), n, err)
		}
	}
}
