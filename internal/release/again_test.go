package release

import (
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestACommandToTypeNextReachesWhatThisRunReached(t *testing.T) {
	given := Given{
		Where: []Flag{{"--config", "--config my/prod.yaml"}, {"--env", "--env prod"}},
		What:  []Flag{{"--tag", "--tag v2"}, {"--target", "--target slim"}, {"--build-arg", "--build-arg TOKEN=…"}},
	}
	where := " --cluster weelocluster --service backend --region ap-south-1 --config my/prod.yaml --env prod"
	s := Settings{Cluster: "arn:aws:ecs:ap-south-1:318774499084:cluster/weelocluster", Service: "backend", Region: "ap-south-1", Given: given}
	for command, want := range map[string]string{
		"weelo-deploy release":                         "weelo-deploy release" + where + " --tag v2 --target slim --build-arg TOKEN=…",
		"weelo-deploy release --wait":                  "weelo-deploy release --wait" + where + " --tag v2 --target slim --build-arg TOKEN=…",
		"WEELO_DEPLOY_BUILD_ON=b weelo-deploy release": "WEELO_DEPLOY_BUILD_ON=b weelo-deploy release" + where + " --tag v2 --target slim --build-arg TOKEN=…",
		"weelo-deploy release --image r@sha256:1":      "weelo-deploy release --image r@sha256:1" + where + " --tag v2",
		"weelo-deploy rollback 27":                     "weelo-deploy rollback 27" + where,
		"weelo-deploy watch":                           "weelo-deploy watch" + where,
		"weelo-deploy status" + where[:23]:             "weelo-deploy status" + where,
		"weelo-deploy release --help":                  "weelo-deploy release --help",
		"weelo-deploy config show":                     "weelo-deploy config show",
		"docker context ls":                            "docker context ls",
		"aws sts get-caller-identity":                  "aws sts get-caller-identity",
		"aws ecs list-clusters":                        "aws ecs list-clusters --region ap-south-1",
		"aws ecs list-clusters --region eu-west-1":     "aws ecs list-clusters --region eu-west-1",
	} {
		if got := s.Again(command); got != want {
			t.Errorf("%s\n is %s\nnot %s", command, got, want)
		}
	}
	if got := (Settings{}).Again("aws ecs list-clusters"); got != "aws ecs list-clusters" {
		t.Errorf("without a region: %s", got)
	}
	f := event.Fail(event.CodeNotFound, "x").Try("weelo-deploy history")
	f.Also = []*event.Failure{event.Fail(event.CodeNotFound, "y").Try("aws ecs list-clusters")}
	s.AgainIn(f)
	if f.Next[0] != "weelo-deploy history"+where || f.Also[0].Next[0] != "aws ecs list-clusters --region ap-south-1" {
		t.Errorf("the failure's commands are %q and %q", f.Next, f.Also[0].Next)
	}
	res := event.Result{Outcome: event.FailedRun, Failure: event.Fail(event.CodeInternal, "z")}
	if s.nextOf(&res); len(res.Failure.Next) != 1 || res.Failure.Next[0] != "weelo-deploy status"+where {
		t.Errorf("a failure without commands says %q", res.Failure.Next)
	}
}
