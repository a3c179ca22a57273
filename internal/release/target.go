package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// chooseTarget fixes what a rollback goes back to, before anything is done, and
// refuses the release when there is nothing and nobody said to go on without.
func (r *Run) chooseTarget(ctx context.Context) error {
	target, passed := r.pre.ledger.Automatic(r.pre.service, time.Time{})
	r.pre.passed = passed
	emit := r.out.In("preflight")
	if target == nil {
		return r.withoutTarget(emit, "no revision was ever proven on service "+history.Short(r.Service))
	}
	def, why, err := r.usable(ctx, target)
	if err != nil {
		return err
	}
	if why != "" {
		return r.withoutTarget(emit, fmt.Sprintf("the rollback target %s cannot be used: %s", history.Name(target.TaskDefinition), why))
	}
	r.pre.target, r.pre.targetDefinition = target, def
	r.result.Stable = target.TaskDefinition
	emit(event.Check{Name: "rollback target", Status: event.Done, Detail: history.Name(target.TaskDefinition) + ": " + target.Why})
	if t := r.pre.ledger.Tags[target.TaskDefinition]; t.Outcome.Kind == history.Failed {
		emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("%s, the way back, serves although its own release found that it failed (%s); to go back further first: %s",
			history.Name(target.TaskDefinition), cmp.Or(t.Code, "no code"), r.command("rollback"))})
	}
	r.describeTarget(emit)
	for _, p := range passed {
		emit(event.Note{Level: event.Info, Text: "passed over " + history.Name(p.TaskDefinition) + ": " + p.Why})
	}
	return nil
}

// describeTarget says what about the target is not fixed, and what of the service has
// changed since it was proven.
func (r *Run) describeTarget(emit event.Emit) {
	name := history.Name(r.pre.target.TaskDefinition)
	released, err := r.pre.targetDefinition.Released(r.Container)
	if err == nil {
		if open := byTag(r.pre.targetDefinition, released.Name); len(open) > 0 {
			emit(event.Note{Level: event.Info, Text: fmt.Sprintf("%s, the way back, names images by tag: %s", name, strings.Join(open, ", "))})
		}
	}
	var is types.ServiceRevision
	if a := r.pre.ledger.Attempts; len(a) > 0 {
		is = a[0].Config
	}
	for _, d := range differences(r.pre.ledger.Config(r.pre.target.TaskDefinition), is) {
		emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("when %s was proven, %s", name, d)})
	}
}

func (r *Run) withoutTarget(emit event.Emit, why string) error {
	if r.NoRollback || r.NeverRollBack {
		emit(event.Check{Name: "rollback target", Status: event.Warned, Detail: why + "; a failure will not be rolled back"})
		return nil
	}
	f := event.Fail(event.CodeNoRollbackTarget, why).
		Hint("a first release, or one without a way back, wants --no-rollback").
		Try(r.command("release --no-rollback"), r.command("history"))
	for _, p := range r.pre.passed {
		f.See(history.Name(p.TaskDefinition) + ": " + p.Why)
	}
	return f
}

// usable says whether a target could be deployed: its definition exists, and the
// image of its released container has not been deleted or archived. Not being
// able to tell does not exclude it. why is empty when it is usable.
func (r *Run) usable(ctx context.Context, t *history.Target) (def *taskdef.Definition, why string, err error) {
	def, err = taskdef.Client{API: r.ECS}.Describe(ctx, t.TaskDefinition)
	if errors.Is(err, taskdef.ErrNotFound) {
		return nil, "its task definition does not exist any more", nil
	}
	if err != nil {
		return nil, "", fromAWS(err, "describe task definition "+history.Name(t.TaskDefinition), "ecs:DescribeTaskDefinition")
	}
	released, err := def.Released(r.Container)
	if err != nil {
		return def, "it has no container " + r.Container, nil
	}
	if why := lacks(def, r.pre.service); why != "" {
		return def, why, nil
	}
	switch state, reason := presence(ctx, r.ECR, released.Image, t.Digests[released.Name]); state {
	case image.Gone:
		return def, "its image is gone from the registry: " + reason, nil
	case image.Archived:
		return def, "its image is archived: " + reason, nil
	}
	return def, "", nil
}

// presence looks for the image behind a reference, by the digest that was proven
// where it is known. A registry that is not this account's cannot be asked.
func presence(ctx context.Context, api image.ECRAPI, reference, proven string) (image.State, string) {
	ref, repo, ok := account(ctx, api, reference)
	if !ok {
		return image.Unknown, ""
	}
	return image.Presence(ctx, api, repo, cmp.Or(proven, ref.Digest, ref.Tag, "latest"))
}

// account finds the ECR repository that a reference points to; ok is false when
// it is in another registry or may not be asked.
func account(ctx context.Context, api image.ECRAPI, reference string) (image.Reference, image.Repository, bool) {
	ref, err := image.ParseReference(reference)
	if err != nil {
		return ref, image.Repository{}, false
	}
	repo, err := image.FindRepository(ctx, api, ref.Repository())
	return ref, repo, err == nil
}

// chooseBase decides what the new revision is made from: the service's current
// definition, or the rollback target's when the current one never completed.
func (r *Run) chooseBase(ctx context.Context) error {
	r.pre.base = r.pre.current
	if r.Base == "" && !history.Completed(r.pre.service) && r.pre.targetDefinition != nil {
		r.pre.base = r.pre.targetDefinition
		if r.pre.base.ARN() != r.pre.current.ARN() {
			r.note("preflight", event.Info, fmt.Sprintf("%s never completed: the new revision is made from %s (--base current overrides)", r.pre.current.Name(), r.pre.base.Name()))
		}
	}
	if err := r.newerRevision(ctx); err != nil {
		return err
	}
	_, err := r.pre.base.Released(r.Container)
	return err
}

// newerRevision looks for an ACTIVE revision of the family that is newer than
// the base and was not made by a release: somebody registered it for a purpose.
func (r *Run) newerRevision(ctx context.Context) error {
	newest, at := "", r.pre.base.Revision()
	for arn, status := range r.pre.ledger.Statuses {
		n, err := strconv.Atoi(history.Revision(arn))
		if err != nil || n <= at || status != "ACTIVE" || !strings.HasPrefix(history.Name(arn), r.pre.base.Family()+":") {
			continue
		}
		if t := r.pre.ledger.Tags[arn]; !t.Ours && !r.attempted(arn) {
			newest, at = arn, n
		}
	}
	if newest == "" {
		return nil
	}
	def, err := taskdef.Client{API: r.ECS}.Describe(ctx, newest)
	if err != nil {
		return fromAWS(err, "describe task definition "+history.Name(newest), "ecs:DescribeTaskDefinition")
	}
	if r.Base == "latest" {
		r.pre.base = def
		return nil
	}
	emit := r.out.In("preflight")
	emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("%s is newer than %s and was never deployed here; what it changes is not taken (--base latest takes it)", def.Name(), r.pre.base.Name())})
	emit(event.Diff{From: r.pre.base.Name(), To: def.Name(), Lines: taskdef.Diff(r.pre.base, def)})
	return nil
}

func (r *Run) attempted(arn string) bool {
	for _, a := range r.pre.ledger.Attempts {
		if a.TaskDefinition == arn {
			return true
		}
	}
	return false
}

// prepareGoal makes sure that the rollback target can be deployed by one call.
// A target that was deregistered, or whose tags no longer name the images that
// were proven, gets a copy pinned to the recorded digests.
func (r *Run) prepareGoal(ctx context.Context) error {
	t, def := r.pre.target, r.pre.targetDefinition
	if t == nil {
		return nil
	}
	r.goal = &goal{Target: *t, Deploy: t.TaskDefinition}
	pins, why := r.pins(ctx, t, def)
	if def.Status() != "INACTIVE" && len(pins) == 0 {
		return nil
	}
	if def.Status() == "INACTIVE" {
		why = append(why, "it was deregistered")
	}
	next, err := def.Next(taskdef.Change{Pin: pins})
	if err != nil {
		return err
	}
	if arn := r.earlierCopy(ctx, t.TaskDefinition, next); arn != "" {
		r.goal.Deploy = arn
		return nil
	}
	tags := []taskdef.Tag{{Key: history.KeyCopyOf, Value: history.Name(t.TaskDefinition)}}
	if r.RunID != "" {
		tags = append(tags, taskdef.Tag{Key: r.keys().Run, Value: r.RunID})
	}
	made, err := taskdef.Client{API: r.ECS}.Register(ctx, next, tags)
	if err != nil {
		return fromAWS(err, "register a copy of the rollback target", "ecs:RegisterTaskDefinition and ecs:TagResource")
	}
	r.goal.Deploy = made.ARN()
	r.note("register", event.Info, fmt.Sprintf("%s is a copy of the rollback target %s (%s)", made.Name(), history.Name(t.TaskDefinition), strings.Join(why, ", ")))
	return nil
}

// earlierCopy is the very copy that an earlier run registered; empty when there is
// none.
func (r *Run) earlierCopy(ctx context.Context, of string, want *taskdef.Definition) string {
	for arn, t := range r.pre.ledger.Tags {
		if t.CopyOf != history.Name(of) || r.pre.ledger.Statuses[arn] != "ACTIVE" {
			continue
		}
		if def, err := (taskdef.Client{API: r.ECS}).Describe(ctx, arn); err == nil && taskdef.Equal(def, want) {
			return arn
		}
	}
	return ""
}

// pins are the images of the target that are named by a tag which no longer, or
// after this release's push no longer, means the digest that was proven.
func (r *Run) pins(ctx context.Context, t *history.Target, def *taskdef.Definition) (map[string]string, []string) {
	out := map[string]string{}
	var why []string
	for _, c := range def.Containers() {
		proven := t.Digests[c.Name]
		if proven == "" || strings.Contains(c.Image, "@sha256:") {
			continue
		}
		// A registry that is not ours to ask keeps its tag: pinning it could only
		// name an image that has been deleted since.
		ref, repo, ok := account(ctx, r.ECR, c.Image)
		if !ok {
			continue
		}
		now, found, err := image.Tagged(ctx, r.ECR, repo, cmp.Or(ref.Tag, "latest"))
		if err != nil {
			continue
		}
		if found && now == proven {
			continue
		}
		out[c.Name] = repo.URI + "@" + proven
		why = append(why, fmt.Sprintf("the tag %s of container %s no longer names what was proven", cmp.Or(ref.Tag, "latest"), c.Name))
	}
	return out, why
}

func shortARN(p *string) string { return history.Name(aws.ToString(p)) }
