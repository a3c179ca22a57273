package release

import (
	"context"
	"fmt"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// change is what the release does to the base, with the given image.
func (r *Run) change(image string) taskdef.Change {
	c, _ := r.pre.base.Released(r.Container) // preflight has found it
	if image == "" {
		image = c.Image
	}
	return taskdef.Change{Container: c.Name, Image: image, Environment: r.Environment, Secrets: r.Secrets}
}

// asReleased is the definition that the image will run under, and its container
// in it.
func (r *Run) asReleased() (*taskdef.Definition, taskdef.Container, error) {
	next, err := r.pre.base.Next(r.change(""))
	if err != nil {
		return nil, taskdef.Container{}, err
	}
	c, err := next.Released(r.Container)
	return next, c, err
}

// register makes the next revision: the base with the released container pinned
// to the digest that passed. Nothing changed means no new revision.
func (r *Run) register(ctx context.Context) (string, error) {
	next, err := r.pre.base.Next(r.change(r.reference()))
	if err != nil {
		return "", err
	}
	same := taskdef.Equal(r.pre.base, next) && r.pre.base.Status() != "INACTIVE"
	if same && r.pre.base.ARN() == r.pre.current.ARN() && completedAlone(r.pre.service) && !r.Redeploy {
		if r.unchanged, err = r.stillServes(ctx); err != nil {
			return "", err
		}
	}
	if r.unchanged {
		return "", skip(r.pre.base.Name() + " has this image already")
	}
	if err := r.prepareGoal(ctx); err != nil {
		return "", err
	}
	if same {
		r.next, r.noted = r.pre.base, r.earlierRecord(r.pre.base.ARN())
		return "", skip(r.pre.base.Name() + " has this image already")
	}
	r.out.In("register")(event.Diff{From: r.pre.base.Name(), To: "next", Lines: taskdef.Diff(r.pre.base, next)})
	if earlier := r.unfinished(ctx, next); earlier != nil {
		return r.takeOver(earlier), nil
	}
	made, err := taskdef.Client{API: r.ECS}.Register(ctx, next, r.ownTags())
	if err != nil {
		return "", r.registerError(err)
	}
	r.next, r.registered = made, true
	r.result.TaskDefinition = made.ARN()
	return made.Name(), nil
}

func (r *Run) registerError(err error) error {
	switch apiCode(err) {
	case "AccessDeniedException":
		return event.Fail(event.CodeAccessDenied, "may not register a task definition").Because(err).
			Hint("give the caller ecs:RegisterTaskDefinition, ecs:TagResource (revisions are registered with tags) and iam:PassRole on the definition's roles")
	case "ClientException", "InvalidParameterException":
		return event.Fail(event.CodeInvalidDefinition, "ECS refuses the task definition").Because(err)
	}
	return fromAWS(err, "register a task definition", "ecs:RegisterTaskDefinition")
}

// ownTags go with the revision from its birth, so that whoever finds it knows
// which run made it, even when that run died.
func (r *Run) ownTags() []taskdef.Tag {
	r.noted = r.record()
	var tags []taskdef.Tag
	for key, value := range r.noted {
		tags = append(tags, taskdef.Tag{Key: key, Value: value})
	}
	if r.Source.Commit != "" {
		tags = append(tags, taskdef.Tag{Key: history.KeyCommit, Value: r.Source.Commit})
	}
	return tags
}

// dropUnused takes back a revision that this run registered and never deployed,
// so that the newest revision of the family stays a proven one. What cannot be
// taken back is told. Not when ECS may have taken the deployment all the same.
func (r *Run) dropUnused(ctx context.Context) {
	if !r.registered || r.deployed != nil || r.unsure || r.KeepFailed || r.before.keep {
		return
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	if r.before.takenOver && r.deployedMeanwhile(ctx) {
		return
	}
	name := r.next.Name()
	if err := (taskdef.Client{API: r.ECS}).Deregister(ctx, r.next.ARN()); err != nil {
		r.note("register", event.Warn, fmt.Sprintf("%s was registered, is not deployed, and could not be deregistered: %v", name, err))
		return
	}
	r.registered = false
	r.note("register", event.Info, name+" was not deployed and is deregistered again")
}
