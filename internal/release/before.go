package release

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/onetask"
)

// BeforeTask is a one-off task on the new revision, before the service changes.
type BeforeTask struct {
	Name            string // empty: the command
	Container       string // empty: the released one
	Command         []string
	Environment     map[string]string
	Timeout         time.Duration // 0: DefaultBeforeTimeout
	StopOnInterrupt bool          // otherwise an interrupt leaves it running
}

// DefaultBeforeTimeout is how long a before-task may take that names no time.
const DefaultBeforeTimeout = time.Hour

// beforeState is what the before-tasks of a release have come to.
type beforeState struct {
	started bool        // one was accepted by ECS: data may have been changed
	ended   []string    // names of those that ended well, in this run or in the one it goes on with
	unsure  string      // name of one whose RunTask nobody answered
	running *BeforeTask // the one that runs
	arn     string      // its task
	// keep keeps the revision, which a later release can go on with.
	keep      bool
	takenOver bool // the revision is that of a run that did not finish
}

// name is what people call the task.
func (b BeforeTask) name() string {
	n := cmp.Or(b.Name, strings.Join(b.Command, " "))
	if len(n) > 60 {
		n = n[:60]
	}
	return strings.ToValidUTF8(n, "")
}

func (r *Run) beforeNames() []string {
	var names []string
	for _, b := range r.BeforeTasks {
		names = append(names, b.name())
	}
	return names
}

// checkBeforeTasks refuses a before-task in a container that the definition lacks.
func (r *Run) checkBeforeTasks() error {
	var errs []error
	for _, b := range r.BeforeTasks {
		if b.Container == "" {
			continue
		}
		if _, err := r.pre.base.Released(b.Container); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// plannedBefore says what would run before the deployment.
func (r *Run) plannedBefore() []string {
	var out []string
	for _, b := range r.BeforeTasks {
		container := b.Container
		if c, err := r.pre.base.Released(container); err == nil {
			container = c.Name
		}
		out = append(out, fmt.Sprintf("before-task %s: runs %q in container %s of the new revision, for at most %s", b.name(), b.Command, container, b.timeout()))
	}
	return out
}

func (b BeforeTask) timeout() time.Duration { return cmp.Or(b.Timeout, DefaultBeforeTimeout) }

// runBeforeTasks runs the configured tasks one after another; the first that fails
// ends the release, and the service is not touched.
func (r *Run) runBeforeTasks(ctx context.Context) (string, error) {
	if len(r.BeforeTasks) == 0 {
		return "", skip("not configured")
	}
	if err := r.mayGoOn(ctx); err != nil {
		return "", err
	}
	earlier, err := r.earlierTasks(ctx)
	if err != nil {
		return "", err
	}
	for i, b := range r.BeforeTasks {
		if interrupted(ctx) {
			return "", context.Cause(ctx)
		}
		t, err := r.oneTask(i, b)
		if err != nil {
			return "", err
		}
		if err := r.runBefore(ctx, b, t, earlier); err != nil {
			return "", err
		}
	}
	return strings.Join(r.before.ended, ", ") + " ended well", nil
}

// oneTask is the task of ECS for a before-task: on the new revision, where the
// service's own tasks run. Its startedBy names the run, the place in the list and
// what is done, so that another run of the release finds it.
func (r *Run) oneTask(i int, b BeforeTask) (onetask.Task, error) {
	c, err := r.next.Released(cmp.Or(b.Container, r.Container))
	if err != nil {
		return onetask.Task{}, err
	}
	what, err := json.Marshal([]any{c.Name, b.Command, b.Environment})
	if err != nil {
		return onetask.Task{}, err
	}
	sum := sha256.Sum256(what)
	by := fmt.Sprintf("%s%d-%s", startedByRun(r.RunID), i, hex.EncodeToString(sum[:4]))
	return onetask.Task{
		Name: "before-task " + b.name(), Cluster: r.Cluster, TaskDefinition: r.next.ARN(), Definition: r.next,
		Container: c.Name, Command: b.Command, Environment: b.Environment, Place: onetask.PlaceOf(r.pre.service),
		StartedBy: by, Token: by, Timeout: b.timeout(),
	}, nil
}

// startedByRun begins the startedBy of all before-tasks of a run.
func startedByRun(run string) string { return "weelo-deploy/" + run + "/" }

func (r *Run) oneTasks() onetask.Runner {
	return onetask.Runner{ECS: r.ECS, Logs: r.Log, Emit: r.out.In("before-tasks"), Pace: r.TaskPace}
}

// runBefore brings one before-task to its end: one that an earlier run of this
// release has started is followed, or was done already.
func (r *Run) runBefore(ctx context.Context, b BeforeTask, t onetask.Task, earlier []types.Task) error {
	k, done, attempts := standing(t, earlier)
	if done {
		r.before.started, r.before.ended = true, append(r.before.ended, b.name())
		r.note("before-tasks", event.Info, fmt.Sprintf("%s has run already, and is not run again%s", t.Name, taskWords(k)))
		return nil
	}
	if k != nil {
		r.note("before-tasks", event.Info, fmt.Sprintf("%s is running already: following it%s", t.Name, taskWords(k)))
	} else {
		if t.Token += fmt.Sprintf("-%d", attempts); attempts > 0 {
			r.note("before-tasks", event.Info, t.Name+" failed in the run that this one goes on with: running it again")
		}
		for _, e := range earlier {
			t.Known = append(t.Known, aws.ToString(e.TaskArn))
		}
		began, err := r.startBefore(ctx, b, t)
		if err != nil {
			return err
		}
		k = &began
	}
	r.before.started, r.before.running, r.before.arn = true, &b, aws.ToString(k.TaskArn)
	failed, err := r.oneTasks().Follow(ctx, t, *k)
	switch {
	case err != nil && interrupted(ctx):
		return err
	case err != nil:
		r.before.keep = true
		return named(t, event.FailuresOf(fromAWS(err, "follow "+t.Name, "ecs:DescribeTasks"))[0]).
			See("it goes on: " + r.before.arn)
	}
	r.before.running = nil
	if failed != nil {
		return named(t, failed)
	}
	r.before.ended = append(r.before.ended, b.name())
	r.note("before-tasks", event.Info, t.Name+" ended well")
	return nil
}

// standing finds an earlier run's task for t: k is the one whose container exited
// with 0 (done), or that still runs; attempts counts those that failed.
func standing(t onetask.Task, earlier []types.Task) (k *types.Task, done bool, attempts int) {
	for i, e := range earlier {
		if aws.ToString(e.StartedBy) != t.StartedBy {
			continue
		}
		code, ended := t.Exit(e)
		switch {
		case !ended:
			return &earlier[i], false, attempts
		case code != nil && *code == 0:
			return &earlier[i], true, attempts
		}
		attempts++
	}
	return nil, false, attempts
}

func (r *Run) startBefore(ctx context.Context, b BeforeTask, t onetask.Task) (types.Task, error) {
	call, cancel := inFlight(ctx) // it changes data: its answer is waited for
	defer cancel()
	k, err := r.oneTasks().Start(call, t)
	if err == nil {
		r.note("before-tasks", event.Info, fmt.Sprintf("%s: %q in container %s of %s (%s)", t.Name, t.Command, t.Container, r.next.Name(), aws.ToString(k.TaskArn)))
		return k, nil
	}
	if errors.Is(err, onetask.ErrUnanswered) {
		r.before.unsure, r.before.keep = b.name(), true
		return k, event.Fail(event.CodeUnavailable, t.Name+" cannot be started").Because(err).
			Hint("look whether it runs: " + r.Again("aws ecs list-tasks --cluster "+history.Short(r.Cluster)+" --started-by "+t.StartedBy))
	}
	var known *event.Failure
	switch {
	case errors.As(err, &known):
		return k, named(t, known)
	case apiCode(err) == "InvalidParameterException", apiCode(err) == "ClientException", strings.HasPrefix(apiCode(err), "Platform"):
		return k, event.Fail(event.CodeInvalidDefinition, "ECS refuses to run "+t.Name).Because(err)
	}
	return k, fromAWS(err, "run "+t.Name, "ecs:RunTask, and iam:PassRole on the definition's roles")
}

// named says of which before-task a failure is.
func named(t onetask.Task, f *event.Failure) *event.Failure {
	f.Message = t.Name + ": " + f.Message
	return f
}

func taskWords(k *types.Task) string {
	if k == nil {
		return ""
	}
	return " (" + aws.ToString(k.TaskArn) + ")"
}
