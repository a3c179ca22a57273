package history

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

// A revision that completed and lost its task since is no reason to go forward to
// what a rollback left.
func TestByHandFromACrashingRevisionNeverGoesForward(t *testing.T) {
	l := ledger(attempt{revision: 26, status: ok}, attempt{revision: 27, status: ok}, attempt{revision: 38, status: ok}, attempt{revision: 27, status: ok})
	if got, _ := l.ByHand(service(27, completed, 0)); revision(got) != "26" {
		t.Errorf("ByHand = %s, want 26: 38 was left by a rollback", revision(got))
	}
}

// While a rollback brings 27 back, the way back is 27: neither what is below it,
// nor what it came from.
func TestByHandWhileARollbackIsUnderWay(t *testing.T) {
	for name, c := range map[string]struct {
		attempts []attempt
		primary  int
		want     string
		coming   bool
	}{
		"from 38, which never succeeded": {
			[]attempt{{revision: 26, status: ok}, {revision: 27, status: ok}, {revision: 38, status: stopped}, {revision: 27, status: running}}, 27, "27", true},
		"from 38, which served": {
			[]attempt{{revision: 26, status: ok}, {revision: 27, status: ok}, {revision: 38, status: ok}, {revision: 27, status: running}}, 27, "27", true},
		"a redeploy of 27 goes back to 27": {
			[]attempt{{revision: 26, status: ok}, {revision: 27, status: ok}, {revision: 27, status: running}}, 27, "27", false},
		"a new revision goes back to 27": {
			[]attempt{{revision: 26, status: ok}, {revision: 27, status: ok}, {revision: 38, status: running}}, 38, "27", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := ledger(c.attempts...)
			s := service(c.primary, inProgress, 0)
			if got, _ := l.ByHand(s); revision(got) != c.want {
				t.Errorf("ByHand = %s, want %s", revision(got), c.want)
			}
			if got := l.ComingBack(s); got != c.coming {
				t.Errorf("ComingBack = %t, want %t", got, c.coming)
			}
		})
	}
}

// An attempt that began after the tag was written says nothing about the tag.
func TestALaterAttemptDoesNotSilenceAProvenTag(t *testing.T) {
	l := ledger(attempt{revision: 38, status: stopped}, attempt{revision: 27, status: running})
	l.Tags[arn(27)] = parse(map[string]string{keys.Outcome: OutcomeValue(Outcome{Kind: Proven, At: t0.Add(-2400 * time.Hour)})})
	if !l.EverProven(arn(27)) {
		t.Error("27 was proven 100 days ago, which ECS does not remember, and counts as never proven since it is deployed again")
	}
	if got, _ := l.ByHand(service(27, inProgress, 0)); revision(got) != "27" {
		t.Errorf("ByHand = %s, want 27", revision(got))
	}
}

// denying answers AccessDeniedException to DescribeServiceRevisions.
type denying struct{ API }

func (denying) ListServiceDeployments(context.Context, *ecs.ListServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error) {
	return &ecs.ListServiceDeploymentsOutput{ServiceDeployments: []types.ServiceDeploymentBrief{{
		ServiceDeploymentArn: aws.String("sd/1"), TargetServiceRevisionArn: aws.String("rev/1"), CreatedAt: aws.Time(t0.Add(time.Hour)), Status: ok,
	}}}, nil
}

func (denying) DescribeServiceRevisions(context.Context, *ecs.DescribeServiceRevisionsInput, ...func(*ecs.Options)) (*ecs.DescribeServiceRevisionsOutput, error) {
	return nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Fault: smithy.FaultClient}
}

func (denying) ListTaskDefinitions(context.Context, *ecs.ListTaskDefinitionsInput, ...func(*ecs.Options)) (*ecs.ListTaskDefinitionsOutput, error) {
	return &ecs.ListTaskDefinitionsOutput{TaskDefinitionArns: []string{arn(27)}}, nil
}

func (denying) DescribeTaskDefinition(context.Context, *ecs.DescribeTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error) {
	return &ecs.DescribeTaskDefinitionOutput{
		TaskDefinition: &types.TaskDefinition{Status: types.TaskDefinitionStatusActive},
		Tags:           []types.Tag{{Key: aws.String(keys.Outcome), Value: aws.String(OutcomeValue(Outcome{Kind: Proven, At: t0}))}},
	}, nil
}

// Deployments whose revisions may not be read name no task definition: none of
// them can be a rollback target.
func TestReadWithoutServiceRevisionsFallsBackToTags(t *testing.T) {
	l, err := Read(t.Context(), denying{}, "weelocluster", "backend", "weelobackendtask")
	if err != nil || len(l.Notes) != 1 {
		t.Fatalf("Read = %v, notes %q", err, l.Notes)
	}
	got, _ := l.Automatic(service(37, inProgress, 0), time.Time{})
	if got == nil || got.TaskDefinition != arn(27) {
		t.Errorf("Automatic = %+v, want the 27 that is tagged proven", got)
	}
}

// ECS forgets service revisions; an attempt without one proves nothing.
func TestAnAttemptWithoutATaskDefinitionIsNoProof(t *testing.T) {
	l := ledger(attempt{revision: 27, status: ok}, attempt{revision: 28, status: ok})
	l.Attempts[0].TaskDefinition = ""
	if got, _ := l.Automatic(service(37, inProgress, 0), time.Time{}); revision(got) != "27" {
		t.Errorf("Automatic = %q, want 27", revision(got))
	}
}

func TestGoingBack(t *testing.T) {
	l := ledger(attempt{revision: 27, status: ok}, attempt{revision: 38, status: types.ServiceDeploymentStatusRollbackInProgress})
	if a, is := l.GoingBack(); !is || Revision(a.TaskDefinition) != "38" {
		t.Errorf("GoingBack = %+v, %t, want the attempt of 38", a, is)
	}
	if _, is := ledger(attempt{revision: 38, status: running}).GoingBack(); is {
		t.Error("GoingBack of a deployment that goes forward")
	}
}

// unavailable is a fault of the server of which the SDK has no type.
type unavailable struct{ smithy.GenericAPIError }

func (*unavailable) HTTPStatusCode() int { return 503 }

type failing struct{ denying }

func (failing) ListServiceDeployments(context.Context, *ecs.ListServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error) {
	return nil, &unavailable{smithy.GenericAPIError{Code: "ServiceUnavailable"}}
}

// A server that is down has not said that the history may not be read.
func TestReadFailsWhenECSIsDown(t *testing.T) {
	if l, err := Read(t.Context(), failing{}, "weelocluster", "backend", "weelobackendtask"); err == nil {
		t.Errorf("Read went on with the tags alone, and says %q", l.Notes)
	}
}
