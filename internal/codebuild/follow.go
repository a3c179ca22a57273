package codebuild

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

const (
	every      = 2 * time.Second
	stopTime   = 5 * time.Second // for the call that stops the build, after an interrupt
	lostLooks  = 5               // failed looks at the build, one after the other, before we give up
	keptLines  = 20              // of the log, for the report
	pagesALook = 20              // of the log, so that a flood of it does not keep us from looking at the build
)

// follower follows one build.
type follower struct {
	*Builder
	id    string
	emit  event.Emit
	phase string
	began time.Time // of the phase
	token *string   // of the log's next page
	quiet bool      // the log cannot be read, and that was told
	last  []string
	cause string // the line by which the weelo-deploy over there said why it failed
}

// follow waits for the end of a build, and tells what it does. When ctx ends, the
// build is stopped.
func (b *Builder) follow(ctx context.Context, id string, emit event.Emit) (types.Build, error) {
	f := &follower{Builder: b, id: id, emit: emit}
	pause := b.Every
	if pause <= 0 {
		pause = every
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for lost := 0; ; {
		now, err := f.look(ctx)
		if err == nil {
			lost = 0
			f.tell(now)
			f.log(ctx, now)
			if now.BuildComplete {
				f.log(ctx, now) // what was written between the look and the page
				return now, f.verdict(now)
			}
		} else if lost++; lost == lostLooks && ctx.Err() == nil {
			return now, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.stop(ctx)
			return now, context.Cause(ctx)
		}
	}
}

func (f *follower) look(ctx context.Context) (types.Build, error) {
	out, err := f.API.BatchGetBuilds(ctx, &codebuild.BatchGetBuildsInput{Ids: []string{f.id}})
	if err != nil {
		return types.Build{}, fmt.Errorf("describe CodeBuild build %s: %w", f.id, err)
	}
	if len(out.Builds) == 0 {
		return types.Build{}, fmt.Errorf("describe CodeBuild build %s: it is not there", f.id)
	}
	return out.Builds[0], nil
}

// tell says that the build has come to another phase.
func (f *follower) tell(now types.Build) {
	phase := aws.ToString(now.CurrentPhase)
	if phase == f.phase {
		return
	}
	if f.phase != "" {
		f.emit(event.Build{Step: f.step(), Status: event.Done, Seconds: time.Since(f.began).Seconds()})
	}
	f.phase, f.began = phase, time.Now()
	if phase != "" && phase != "COMPLETED" {
		f.emit(event.Build{Step: f.step(), Status: event.Started})
	}
}

func (f *follower) step() string { return "codebuild: " + strings.ToLower(f.phase) }

// log hands on what the build has written since the last look.
func (f *follower) log(ctx context.Context, now types.Build) {
	if now.Logs == nil || now.Logs.GroupName == nil || now.Logs.StreamName == nil || f.quiet {
		return
	}
	for range pagesALook {
		out, err := f.Logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: now.Logs.GroupName, LogStreamName: now.Logs.StreamName, StartFromHead: aws.Bool(true), NextToken: f.token,
		})
		if err != nil {
			// The stream appears some time after the build; at its end it must be there.
			if now.BuildComplete && ctx.Err() == nil {
				f.quiet = true
				f.emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("the build's log cannot be read: %v", err)})
			}
			return
		}
		for _, e := range out.Events {
			f.line(strings.TrimRight(aws.ToString(e.Message), "\r\n"))
		}
		same := f.token != nil && aws.ToString(f.token) == aws.ToString(out.NextForwardToken)
		f.token = out.NextForwardToken
		if same || len(out.Events) == 0 {
			return
		}
	}
}

func (f *follower) line(text string) {
	if i := strings.Index(text, "error: "); i >= 0 {
		f.cause = text[i+len("error: "):]
	}
	if f.last = append(f.last, text); len(f.last) > keptLines {
		f.last = f.last[1:]
	}
	f.emit(event.Build{Step: f.step(), Line: text})
}

// verdict is nil for a build that succeeded.
func (f *follower) verdict(now types.Build) error {
	if now.BuildStatus == types.StatusTypeSucceeded {
		return nil
	}
	fail := event.Fail(event.CodeBuildFailed, fmt.Sprintf("CodeBuild build %s ended as %s", f.id, now.BuildStatus))
	if f.cause != "" {
		fail.See("its log says: " + f.cause)
	}
	for _, p := range now.Phases {
		for _, c := range p.Contexts {
			if m := strings.TrimSpace(aws.ToString(c.Message)); m != "" {
				fail.See(strings.ToLower(string(p.PhaseType)) + ": " + m)
			}
		}
	}
	fail.Logs = f.last
	if now.BuildStatus == types.StatusTypeStopped {
		fail.Hint("somebody stopped it")
	}
	return fail.Try("aws codebuild batch-get-builds --ids " + f.id)
}

// stop stops the build after the run was interrupted.
func (f *follower) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if _, err := f.API.StopBuild(ctx, &codebuild.StopBuildInput{Id: &f.id}); err != nil {
		f.emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("CodeBuild build %s may go on: %v", f.id, err)})
		return
	}
	f.emit(event.Note{Level: event.Info, Text: "CodeBuild build " + f.id + " was stopped"})
}
