package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

const (
	definitionARN = "arn:aws:ecs:ap-south-1:318774499084:task-definition/weelo:"
	tasksARN      = "arn:aws:ecs:ap-south-1:318774499084:task/weelocluster/"
	ownSD         = "arn:aws:ecs:ap-south-1:318774499084:service-deployment/weelocluster/backend/own"
)

func definition(n int) string { return fmt.Sprint(definitionARN, n) }

// fakeECS is a service of ECS that follows a script: what happens at which
// second. Its counts follow from its tasks. ecs-svc/1 with weelo:27 serves; the
// deployment that the tests watch is ecs-svc/2 with weelo:38.
type fakeECS struct {
	mu      sync.Mutex
	began   time.Time
	skew    time.Duration                        // AWS's clock minus ours
	latency func(op string, n int) time.Duration // nil: none
	script  []step
	step    time.Time // of the script's step that runs

	deployments []types.Deployment // newest first
	tasks       []*types.Task
	events      []types.ServiceEvent // newest first
	status      string
	settings    *types.DeploymentConfiguration
	own         *types.ServiceDeployment // nil: none yet
	pageSize    int

	calls []recorded
	// fault gives the error of the nth call of an operation.
	fault func(op string, n int, at time.Duration) error
	stale func(n int) bool // the nth answer about the service is from before the release
	hangs func(op string, n int) bool
}

type step struct {
	at time.Duration
	do func()
}

type recorded struct {
	op   string
	at   time.Duration
	size int
}

// newFake must be called inside a synctest bubble.
func newFake() *fakeECS { return newFakeAhead(0) }

// newFakeAhead makes one whose clock is ahead of ours.
func newFakeAhead(skew time.Duration) *fakeECS {
	f := &fakeECS{began: time.Now(), skew: skew, status: "ACTIVE", pageSize: 100}
	f.deploy("ecs-svc/1", 27, 1)
	f.deployments[0].CreatedAt = aws.Time(f.now().Add(-24 * time.Hour))
	f.complete("ecs-svc/1")
	f.start("old1", "ecs-svc/1", 27)
	f.up("old1")
	f.task("old1").CreatedAt = aws.Time(f.now().Add(-24 * time.Hour))
	f.deploy("ecs-svc/2", 38, 1)
	f.own = &types.ServiceDeployment{
		ServiceDeploymentArn: aws.String(ownSD), Status: types.ServiceDeploymentStatusInProgress, CreatedAt: aws.Time(f.now().Add(20 * time.Millisecond)),
		TargetServiceRevision: &types.ServiceRevisionSummary{Arn: aws.String("rev/38")},
	}
	return f
}

// now is AWS's time: that of the step which runs, although it runs only when
// somebody asks.
func (f *fakeECS) now() time.Time {
	if !f.step.IsZero() {
		return f.step.Add(f.skew).UTC()
	}
	return time.Now().Add(f.skew).UTC()
}

// at adds to the script.
func (f *fakeECS) at(d time.Duration, do func()) {
	f.script = append(f.script, step{d, do})
	slices.SortStableFunc(f.script, func(a, b step) int { return int(a.at - b.at) })
}

// The verbs of a script.

// deploy makes a new PRIMARY deployment.
func (f *fakeECS) deploy(id string, revision, desired int) {
	for i := range f.deployments {
		f.deployments[i].Status = aws.String("ACTIVE")
	}
	d := types.Deployment{
		Id: &id, Status: aws.String("PRIMARY"), TaskDefinition: aws.String(definition(revision)), DesiredCount: int32(desired),
		CreatedAt: aws.Time(f.now()), UpdatedAt: aws.Time(f.now()), RolloutState: types.DeploymentRolloutStateInProgress,
		RolloutStateReason: aws.String("ECS deployment " + id + " in progress."),
	}
	f.deployments = append([]types.Deployment{d}, f.deployments...)
}

func (f *fakeECS) deployment(id string) *types.Deployment {
	for i := range f.deployments {
		if *f.deployments[i].Id == id {
			return &f.deployments[i]
		}
	}
	panic("no deployment " + id)
}

func (f *fakeECS) complete(id string) {
	d := f.deployment(id)
	d.RolloutState, d.RolloutStateReason = types.DeploymentRolloutStateCompleted, aws.String("ECS deployment "+id+" completed.")
}

// breakerBack is what the circuit breaker does: the deployment fails, an older
// one is PRIMARY again under its old id.
func (f *fakeECS) breakerBack(from, to string) {
	d := f.deployment(from)
	d.Status, d.RolloutState = aws.String("ACTIVE"), types.DeploymentRolloutStateFailed
	d.RolloutStateReason = aws.String("ECS deployment circuit breaker: tasks failed to start.")
	o := f.deployment(to)
	o.Status, o.RolloutState = aws.String("PRIMARY"), types.DeploymentRolloutStateInProgress
	o.RolloutStateReason = aws.String("ECS deployment circuit breaker: rolling back to deploymentId " + to + ".")
	f.own.Status = types.ServiceDeploymentStatusRollbackInProgress
	f.say("(service backend) (deployment " + from + ") deployment failed: tasks failed to start.")
	f.say("(service backend) rolling back to deployment " + to + ".")
}

func (f *fakeECS) drop(id string) {
	f.deployments = slices.DeleteFunc(slices.Clone(f.deployments), func(d types.Deployment) bool { return *d.Id == id })
}

func (f *fakeECS) start(id, deployment string, revision int) {
	f.tasks = append(f.tasks, &types.Task{
		TaskArn: aws.String(tasksARN + id), TaskDefinitionArn: aws.String(definition(revision)), StartedBy: aws.String(deployment),
		CreatedAt: aws.Time(f.now()), LastStatus: aws.String("PENDING"), DesiredStatus: aws.String("RUNNING"),
		HealthStatus: types.HealthStatusUnknown, Containers: []types.Container{{Name: aws.String("app")}},
	})
}

func (f *fakeECS) task(id string) *types.Task {
	for _, t := range f.tasks {
		if name(*t.TaskArn) == id {
			return t
		}
	}
	panic("no task " + id)
}

func (f *fakeECS) pulling(id string) { f.task(id).PullStartedAt = aws.Time(f.now()) }

func (f *fakeECS) up(id string) {
	t := f.task(id)
	t.LastStatus, t.StartedAt = aws.String("RUNNING"), aws.Time(f.now())
}

func (f *fakeECS) healthy(id string) { f.task(id).HealthStatus = types.HealthStatusHealthy }

func (f *fakeECS) stop(id string, code types.TaskStopCode, reason string, c types.Container) {
	t := f.task(id)
	t.LastStatus, t.DesiredStatus = aws.String("STOPPED"), aws.String("STOPPED")
	t.StopCode, t.StoppedReason, t.StoppedAt = code, &reason, aws.Time(f.now())
	t.Containers[0].ExitCode, t.Containers[0].Reason = c.ExitCode, c.Reason
}

func (f *fakeECS) exit(id string, code int32) {
	f.stop(id, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", exited(code))
}

// crash starts a task that dies before anybody can look.
func (f *fakeECS) crash(id string, code int32) {
	f.start(id, "ecs-svc/2", 38)
	f.up(id)
	f.exit(id, code)
}

func (f *fakeECS) scaleIn(id, deployment string) {
	f.stop(id, types.TaskStopCodeServiceSchedulerInitiated, "Scaling activity initiated by (deployment "+deployment+")", exited(137))
}

func (f *fakeECS) say(message string) {
	e := types.ServiceEvent{Id: aws.String(fmt.Sprintf("event-%d", len(f.events))), CreatedAt: aws.Time(f.now()), Message: &message}
	f.events = append([]types.ServiceEvent{e}, f.events...)
}

// serve lets the watched deployment succeed with one task.
func (f *fakeECS) serve(at time.Duration) {
	f.at(at/4, func() { f.start("new1", "ecs-svc/2", 38); f.say("(service backend) has started 1 tasks: (task new1).") })
	f.at(at/2, func() { f.up("new1") })
	f.at(at, func() {
		f.scaleIn("old1", "ecs-svc/1")
		f.complete("ecs-svc/2")
		f.drop("ecs-svc/1")
		f.own.Status = types.ServiceDeploymentStatusSuccessful
	})
}

// The calls.

func apiError(code string) error { return &smithy.GenericAPIError{Code: code, Message: "because"} }

// call runs the script up to now, and gives the fault of the call.
func (f *fakeECS) call(ctx context.Context, op string, size int) error {
	f.mu.Lock()
	f.calls = append(f.calls, recorded{op, time.Since(f.began), size})
	n := f.count(op)
	if f.latency != nil {
		d := f.latency(op, n)
		f.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
		f.mu.Lock()
	}
	elapsed := time.Since(f.began)
	for len(f.script) > 0 && f.script[0].at <= elapsed {
		s := f.script[0]
		f.script = f.script[1:]
		f.step = f.began.Add(s.at)
		s.do()
	}
	f.step = time.Time{}
	if f.hangs != nil && f.hangs(op, n) {
		f.mu.Unlock()
		<-ctx.Done()
		f.mu.Lock()
		return ctx.Err()
	}
	if f.fault == nil {
		return nil
	}
	return f.fault(op, n, elapsed)
}

func (f *fakeECS) count(op string) int {
	n := 0
	for _, c := range f.calls {
		if c.op == op {
			n++
		}
	}
	return n
}

func (f *fakeECS) DescribeServices(ctx context.Context, in *ecs.DescribeServicesInput, _ ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error) {
	defer f.mu.Unlock()
	if err := f.call(ctx, "DescribeServices", 1); err != nil {
		return nil, err
	}
	if f.status == "" {
		return &ecs.DescribeServicesOutput{Failures: []types.Failure{{Reason: aws.String("MISSING")}}}, nil
	}
	s := types.Service{ServiceName: aws.String("backend"), ServiceArn: aws.String("arn:aws:ecs:ap-south-1:318774499084:service/weelocluster/backend"), Status: &f.status, Deployments: slices.Clone(f.deployments), DeploymentConfiguration: f.settings, Events: slices.Clone(f.events[:min(100, len(f.events))])}
	for i := range s.Deployments {
		d := &s.Deployments[i]
		d.RunningCount, d.PendingCount = 0, 0
		for _, t := range f.tasks {
			switch {
			case str(t.StartedBy) != *d.Id:
			case *t.LastStatus == "RUNNING":
				d.RunningCount++
			case *t.LastStatus == "PENDING":
				d.PendingCount++
			}
		}
		if *d.Status == "PRIMARY" {
			s.DesiredCount = d.DesiredCount
		}
	}
	if n := len(s.Deployments); f.stale != nil && f.stale(f.count("DescribeServices")) {
		s.Deployments = s.Deployments[n-1:]
		s.Deployments[0].Status = aws.String("PRIMARY")
	}
	return &ecs.DescribeServicesOutput{Services: []types.Service{s}}, nil
}

func (f *fakeECS) ListTasks(ctx context.Context, in *ecs.ListTasksInput, _ ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
	defer f.mu.Unlock()
	if err := f.call(ctx, "ListTasks "+string(in.DesiredStatus), 0); err != nil {
		return nil, err
	}
	if *in.ServiceName != "backend" || in.StartedBy != nil {
		return nil, apiError("InvalidParameterException")
	}
	var arns []string
	for _, t := range f.tasks {
		if *t.DesiredStatus == string(in.DesiredStatus) {
			arns = append(arns, *t.TaskArn)
		}
	}
	from := 0
	fmt.Sscan(str(in.NextToken), &from)
	out := &ecs.ListTasksOutput{TaskArns: arns[from:min(len(arns), from+f.pageSize)]}
	if from+f.pageSize < len(arns) {
		out.NextToken = aws.String(fmt.Sprint(from + f.pageSize))
	}
	return out, nil
}

func (f *fakeECS) DescribeTasks(ctx context.Context, in *ecs.DescribeTasksInput, _ ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error) {
	defer f.mu.Unlock()
	if err := f.call(ctx, "DescribeTasks", len(in.Tasks)); err != nil {
		return nil, err
	}
	if len(in.Tasks) == 0 || len(in.Tasks) > 100 {
		return nil, apiError("InvalidParameterException")
	}
	out := &ecs.DescribeTasksOutput{}
	for _, want := range in.Tasks {
		i := slices.IndexFunc(f.tasks, func(t *types.Task) bool { return name(*t.TaskArn) == name(want) })
		if i < 0 {
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(tasksARN + want), Reason: aws.String("MISSING")})
			continue
		}
		t := *f.tasks[i]
		t.Containers = slices.Clone(t.Containers)
		out.Tasks = append(out.Tasks, t)
	}
	return out, nil
}

func (f *fakeECS) ListServiceDeployments(ctx context.Context, in *ecs.ListServiceDeploymentsInput, _ ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error) {
	defer f.mu.Unlock()
	if err := f.call(ctx, "ListServiceDeployments", 0); err != nil {
		return nil, err
	}
	out := &ecs.ListServiceDeploymentsOutput{}
	if f.own != nil && in.CreatedAt.After.Before(*f.own.CreatedAt) {
		out.ServiceDeployments = append(out.ServiceDeployments, types.ServiceDeploymentBrief{
			ServiceDeploymentArn: f.own.ServiceDeploymentArn, CreatedAt: f.own.CreatedAt, TargetServiceRevisionArn: f.own.TargetServiceRevision.Arn,
		})
	}
	return out, nil
}

func (f *fakeECS) DescribeServiceRevisions(ctx context.Context, in *ecs.DescribeServiceRevisionsInput, _ ...func(*ecs.Options)) (*ecs.DescribeServiceRevisionsOutput, error) {
	defer f.mu.Unlock()
	if err := f.call(ctx, "DescribeServiceRevisions", len(in.ServiceRevisionArns)); err != nil {
		return nil, err
	}
	out := &ecs.DescribeServiceRevisionsOutput{}
	for _, arn := range in.ServiceRevisionArns {
		out.ServiceRevisions = append(out.ServiceRevisions, types.ServiceRevision{ServiceRevisionArn: aws.String(arn),
			TaskDefinition: aws.String(definitionARN + strings.TrimPrefix(arn, "rev/"))})
	}
	return out, nil
}

func (f *fakeECS) DescribeServiceDeployments(ctx context.Context, in *ecs.DescribeServiceDeploymentsInput, _ ...func(*ecs.Options)) (*ecs.DescribeServiceDeploymentsOutput, error) {
	defer f.mu.Unlock()
	if err := f.call(ctx, "DescribeServiceDeployments", len(in.ServiceDeploymentArns)); err != nil {
		return nil, err
	}
	out := &ecs.DescribeServiceDeploymentsOutput{}
	if f.own != nil && in.ServiceDeploymentArns[0] == *f.own.ServiceDeploymentArn {
		out.ServiceDeployments = append(out.ServiceDeployments, *f.own)
	}
	return out, nil
}

// fakeLogs holds log streams: "group stream" → lines.
type fakeLogs struct {
	lines map[string][]string
	after time.Time // before it, the lines have not arrived
	err   error
	asked []string
}

func (l *fakeLogs) GetLogEvents(_ context.Context, in *cloudwatchlogs.GetLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error) {
	key := *in.LogGroupName + " " + *in.LogStreamName
	l.asked = append(l.asked, key)
	if l.err != nil {
		return nil, l.err
	}
	lines, ok := l.lines[key]
	if !ok || time.Now().Before(l.after) {
		return nil, apiError("ResourceNotFoundException")
	}
	out := &cloudwatchlogs.GetLogEventsOutput{NextBackwardToken: aws.String("b/1")}
	if in.NextToken == nil && len(lines) > 0 && lines[0] == "" {
		return out, nil // an empty page before the full one
	}
	for _, s := range lines[max(0, len(lines)-int(*in.Limit)):] {
		out.Events = append(out.Events, logtypes.OutputLogEvent{Message: aws.String(s), Timestamp: aws.Int64(1_700_000_000_000)})
	}
	return out, nil
}

// fakeDefinition is a task definition with one container.
type fakeDefinition struct {
	driver  string
	checked bool
}

func (d fakeDefinition) Log(string) (driver, group, prefix, region string) {
	return d.driver, "/ecs/weelo", "ecs", "ap-south-1"
}
func (d fakeDefinition) LogDestination(string) string               { return "FireLens to datadog" }
func (d fakeDefinition) Essential(c string) (essential, known bool) { return true, c == "app" }
func (d fakeDefinition) HealthChecked() bool                        { return d.checked }

// told are the events of a watch.
type told struct {
	events []event.Event
	at     []time.Duration
}

func (o *told) emit(began time.Time) event.Emit {
	return func(e event.Event) {
		o.events = append(o.events, e)
		o.at = append(o.at, time.Since(began))
	}
}

func of[T event.Event](o *told) []T {
	var out []T
	for _, e := range o.events {
		if v, ok := e.(T); ok {
			out = append(out, v)
		}
	}
	return out
}

// watched is the outcome of a watch.
type watched struct {
	Verdict
	err  error
	told *told
	took time.Duration
}

// watch watches ecs-svc/2 in f with a policy; change may adapt watcher and subject.
func watch(f *fakeECS, p Policy, change ...func(*Watcher, *Subject)) watched {
	o := &told{}
	w := &Watcher{ECS: f, Emit: o.emit(f.began), Pace: Pace{Jitter: func() float64 { return 0.5 }}}
	s := Subject{Cluster: "weelocluster", Service: "backend", Deployment: "ecs-svc/2", TaskDefinition: definition(38),
		CreatedAt: *f.deployment("ecs-svc/2").CreatedAt, Previous: definition(27)}
	for _, c := range change {
		c(w, &s)
	}
	began := time.Now()
	v, err := w.Watch(context.Background(), s, p)
	return watched{v, err, o, time.Since(began)}
}

// want checks the outcome, and the failure's code where there is one.
func (w watched) want(t *testing.T, o Outcome, code event.Code) {
	t.Helper()
	if w.err != nil {
		t.Fatalf("Watch() error = %v", w.err)
	}
	if w.Outcome != o {
		t.Fatalf("Watch() = %s (%v) after %s, want %s", w.Outcome, w.Failure, w.took, o)
	}
	if (w.Failure == nil) != (code == "") || (w.Failure != nil && w.Failure.Code != code) {
		t.Fatalf("Watch() failure = %+v, want code %q", w.Failure, code)
	}
}

// says checks that the failure's texts contain all of want.
func says(t *testing.T, f *event.Failure, want ...string) {
	t.Helper()
	text := strings.Join(append([]string{f.Message, f.Reason}, slices.Concat(f.Evidence, f.Logs, f.Hints)...), "\n")
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("the failure says\n%s\nwant it to contain %q", text, s)
		}
	}
}
