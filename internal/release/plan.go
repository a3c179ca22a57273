package release

import (
	"context"
	"fmt"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// newImage stands for a digest that only the build will know.
const newImage = "sha256:(known after the build)"

// Plan runs the first stage, and says what the others would do. Nothing is
// written. With exitCode, a plan that would change something ends with exit 8.
func (r *Run) Plan(ctx context.Context, exitCode bool) event.Result {
	r.began = r.now()
	r.result = event.Result{Command: r.Command, Cluster: r.Cluster, Service: r.Service}
	r.run(ctx, []stage{releaseStages[0], {name: "plan", run: (*Run).plan}})
	if r.result.Outcome == "" {
		r.result.Outcome, r.result.ExitCode = event.Planned, event.ExitOK
		if exitCode && !r.unchanged {
			r.result.ExitCode = event.ExitPlanChanges
		}
		r.result.Serving, r.result.ServingNow = ServingARN(r.pre.service), Serves(r.pre.service)
		if !r.unchanged {
			r.result.Next = []string{r.command("release")}
		}
	}
	return r.finish()
}

func (r *Run) plan(ctx context.Context) (string, error) {
	ref, how, err := r.plannedImage(ctx)
	if err != nil {
		return "", err
	}
	next, err := r.pre.base.Next(r.change(ref))
	if err != nil {
		return "", err
	}
	if taskdef.Equal(r.pre.base, next) && r.pre.base.ARN() == r.pre.current.ARN() && completedAlone(r.pre.service) && !r.Redeploy {
		r.unchanged = true
		return "nothing would change: " + r.pre.base.Name() + " serves this image", nil
	}
	say := func(text string) { r.note("plan", event.Info, text) }
	say("image: " + how)
	for _, command := range r.plannedBuild() {
		say(command)
	}
	r.out.In("plan")(event.Diff{From: r.pre.base.Name(), To: "next", Lines: taskdef.Diff(r.pre.base, next)})
	for _, text := range r.plannedBefore() {
		say(text)
	}
	if r.pre.replaces != "" {
		say("deploy: replaces the deployment in progress " + r.pre.replaces)
	}
	r.goal = nil
	if t := r.pre.target; t != nil {
		r.goal = &goal{Target: *t, Deploy: t.TaskDefinition}
		say("on failure: back to " + history.Name(t.TaskDefinition))
	}
	if r.noChecks() == "" {
		say("checks: " + r.planChecks())
	}
	if r.wantsBackstop() {
		say("deploy: switches ECS's circuit breaker with rollback on until the release ends")
	}
	return "a release would deploy a new revision of " + r.pre.base.Family(), nil
}

// plannedBuild says which commands would run on this machine before the build.
func (r *Run) plannedBuild() []string {
	if r.Image != "" || r.artifact.remote != nil {
		return nil // nothing is built
	}
	var out []string
	for _, command := range r.Before {
		out = append(out, "build.before: runs here, before the build: "+command)
	}
	return out
}

// plannedImage is the reference that a release would deploy, as far as it can be
// known without building.
func (r *Run) plannedImage(ctx context.Context) (ref, how string, err error) {
	if r.inRepository() {
		if _, err := r.verify(ctx); err != nil {
			return "", "", err
		}
		how := r.Image + " is in the repository"
		if r.TagsGiven {
			how += ", and would be tagged " + strings.Join(r.Tags, ", ") + " too"
		}
		return r.reference(), how, nil
	}
	if r.Image != "" {
		return r.pre.repo.URI + "@" + newImage, r.Image + " would be verified and pushed as " + strings.Join(r.Tags, ", "), nil
	}
	d, err := r.reusable(ctx)
	if err != nil {
		return "", "", err
	}
	why := ""
	if d != nil {
		if as := r.failedAs(ctx, d.Digest); as != "" {
			d, why = nil, ", since the image of this commit failed as "+as
		}
	}
	if d != nil {
		r.artifact.remote = d
		return r.reference(), fmt.Sprintf("an earlier run of this commit pushed it (%s)", shortDigest(d.Digest)), nil
	}
	return r.pre.repo.URI + "@" + newImage, fmt.Sprintf("built from %s for %s, pushed as %s%s", relativeTo(r.Dir, r.Build.Dockerfile), r.Build.Platform, strings.Join(r.Tags, ", "), why), nil
}
