package onetask

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
)

// follow is one task being followed.
type follow struct {
	Runner
	task Task
	pace Pace
	arn  string
	last types.Task // as ECS told of it last
	seen time.Time  // when that was
	log  *tail
	told string // the status that was told last
}

// Follow watches a task until its container has ended, and hands its log lines on.
// How it ended is nil for exit code 0, and the failure otherwise. The error is for a
// task that could not be followed: ctx has ended, or AWS lets us see it no longer;
// it goes on then.
func (r Runner) Follow(ctx context.Context, t Task, k types.Task) (failed *event.Failure, err error) {
	f := &follow{Runner: r, task: t, pace: r.Pace.withDefaults(), arn: aws.ToString(k.TaskArn), last: k, seen: time.Now(), log: newTail(r, t)}
	f.tell()
	limit := ctx
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, t.Timeout)
		defer cancel()
	}
	err = f.until(limit, func() bool { return over(f.last) || f.exit() != nil })
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limit.Err() != nil:
		return f.timedOut(ctx), nil
	case err != nil:
		return nil, err
	}
	if n := f.exit(); n != nil && *n == 0 {
		f.log.finish(ctx, f.last)
		f.endRest(ctx)
		return nil, nil
	}
	// What ECS says of the end comes with the end of the task as a whole.
	bounded, cancel := context.WithTimeout(ctx, f.pace.Stopping)
	defer cancel()
	f.endRest(ctx)
	_ = f.until(bounded, func() bool { return over(f.last) })
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f.log.finish(ctx, f.last)
	return f.failure(), nil
}

// until looks at the task, and at its log, until done says so or ctx ends. Single
// calls may fail, and ECS may be slow to show a task that it has accepted; what is
// refused for long is an error.
func (f *follow) until(ctx context.Context, done func() bool) error {
	pause, refused := f.pace.Poll, time.Time{}
	for !done() {
		if !sleep(ctx, pause) {
			return context.Cause(ctx)
		}
		out, err := f.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: f.task.cluster(), Tasks: []string{f.arn}}, once)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case err == nil && len(out.Tasks) > 0:
			f.last, f.seen, pause, refused = out.Tasks[0], time.Now(), f.pace.Poll, time.Time{}
			f.tell()
		case err == nil:
			if time.Since(f.seen) > f.pace.Settle {
				return event.Fail(event.CodeTaskFailed, "ECS does not know the task any more").See(f.arn)
			}
		default:
			if pause == f.pace.Poll {
				f.warn(fmt.Sprintf("ECS does not tell how %s fares (%s); asking again", f.task.Name, brief(err)))
			}
			pause = min(2*pause, max(f.pace.Slowest, f.pace.Poll))
			if refused.IsZero() {
				refused = time.Now()
			}
			if answered(err) && !throttled(err) && time.Since(refused) > f.pace.GiveUp {
				return err
			}
			continue
		}
		f.log.read(ctx, f.last)
	}
	return nil
}

// exit is the container's exit code; nil while it runs, and when it never did.
func (f *follow) exit() *int32 { return f.task.container(f.last).ExitCode }

// over says whether the task as a whole has ended.
func over(k types.Task) bool {
	s := aws.ToString(k.LastStatus)
	return s == "STOPPED" || s == "DELETED"
}

// endRest stops a task that would go on without its container: one that is not
// essential to it.
func (f *follow) endRest(ctx context.Context) {
	if over(f.last) || aws.ToString(f.last.DesiredStatus) == "STOPPED" {
		return
	}
	if essential, known := f.essential(f.task.Container); !known || essential {
		return
	}
	if err := f.Stop(ctx, f.task, f.arn, "weelo-deploy: container "+f.task.Container+" has ended"); err != nil {
		f.warn(fmt.Sprintf("container %s has ended and the rest of the task could not be stopped (%s): %s", f.task.Container, brief(err), f.arn))
	}
}

func (f *follow) essential(container string) (essential, known bool) {
	if f.task.Definition == nil {
		return false, false
	}
	return f.task.Definition.Essential(container)
}

// timedOut stops the task, waits for its end, and says where it stood.
func (f *follow) timedOut(ctx context.Context) *event.Failure {
	stood := f.last
	out := event.Fail(event.CodeTimeout, fmt.Sprintf("it did not end within %s", f.task.Timeout)).See("task " + f.arn)
	out.Container = f.task.Container
	if stood.StartedAt == nil {
		out.See("it never reached RUNNING; its last status is " + aws.ToString(stood.LastStatus))
	}
	if err := f.Stop(ctx, f.task, f.arn, "weelo-deploy: it did not end within "+f.task.Timeout.String()); err != nil {
		return out.See("it could not be stopped and goes on: " + brief(err)).Hint("stop it: aws ecs stop-task --cluster " + f.task.Cluster + " --task " + f.arn + health.InRegion(f.arn))
	}
	bounded, cancel := context.WithTimeout(ctx, f.pace.Stopping)
	defer cancel()
	_ = f.until(bounded, func() bool { return over(f.last) })
	f.log.finish(ctx, f.last)
	out.Logs = f.log.last
	if n := f.exit(); n != nil {
		out.See(fmt.Sprintf("it was stopped, and its container exited with %d", *n))
	} else {
		out.See("it was stopped")
	}
	return out.Hint("give it more time: timeout of the task in release.before")
}

// failure is why the container did not exit with 0.
func (f *follow) failure() *event.Failure {
	found := health.Classify(health.Facts{Task: f.last, LogTail: f.log.last, Essential: f.essential})
	out := found.Failure()
	n := f.exit()
	if out.Code == "" { // a stop that says nothing about a service: a user, a Spot interruption
		out.Code = event.CodeTaskFailed
		out.See(strings.TrimSpace(fmt.Sprintf("task %s stopped: %s %s", f.arn, f.last.StopCode, aws.ToString(f.last.StoppedReason))))
	}
	if n != nil && out.Container != f.task.Container {
		out.See(fmt.Sprintf("container %s exited with %d", f.task.Container, *n))
	}
	if n == nil && out.ExitCode != nil && *out.ExitCode == 0 {
		out.Code, out.Message = event.CodeTaskFailed, fmt.Sprintf("the task ended before container %s did: %s", f.task.Container, out.Message)
	}
	out.Logs = slices.Clone(f.log.last)
	return out
}

// tell hands a change of the task's status on.
func (f *follow) tell() {
	status := aws.ToString(f.last.LastStatus)
	if status == "" || status == f.told {
		return
	}
	f.told = status
	e := event.Task{
		ID: short(f.arn), Revision: short(aws.ToString(f.last.TaskDefinitionArn)), Status: status,
		StopCode: string(f.last.StopCode), Reason: health.CleanLine(aws.ToString(f.last.StoppedReason)),
	}
	if n := f.exit(); n != nil {
		code := int(*n)
		e.Container, e.ExitCode = f.task.Container, &code
	}
	f.emit(e)
}

// short is the last part of an ARN.
func short(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

func brief(err error) string {
	if c := code(err); c != "" {
		return c
	}
	return err.Error()
}

// Exit is the exit code of the container that a task is about; nil while it runs and
// when it never did. ended says that there will be none any more.
func (t Task) Exit(k types.Task) (code *int, ended bool) {
	if n := t.container(k).ExitCode; n != nil {
		c := int(*n)
		return &c, true
	}
	return nil, over(k)
}
