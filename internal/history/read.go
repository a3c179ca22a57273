package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// API is what reading a service's past needs of ECS.
type API interface {
	ListServiceDeployments(context.Context, *ecs.ListServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error)
	DescribeServiceDeployments(context.Context, *ecs.DescribeServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.DescribeServiceDeploymentsOutput, error)
	DescribeServiceRevisions(context.Context, *ecs.DescribeServiceRevisionsInput, ...func(*ecs.Options)) (*ecs.DescribeServiceRevisionsOutput, error)
	ListTaskDefinitions(context.Context, *ecs.ListTaskDefinitionsInput, ...func(*ecs.Options)) (*ecs.ListTaskDefinitionsOutput, error)
	DescribeTaskDefinition(context.Context, *ecs.DescribeTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error)
}

// Limits of one look. DescribeServiceDeployments and DescribeServiceRevisions
// take 20 ARNs a call (ECS API reference).
const (
	describeBatch = 20
	// newestTagged is how many revisions have their tags read: those that were
	// attempted most lately, and the newest of the family.
	newestTagged = 30
)

// Read builds the ledger of a service. family is the task definition family it
// runs. A part that may not be read (an old account, a missing permission) is a
// Note and not an error; the error is for a service whose past cannot be known
// because ECS does not answer at all.
func Read(ctx context.Context, api API, cluster, service, family string) (Ledger, error) {
	l := Ledger{Cluster: cluster, Service: service, Tags: map[string]Tags{}, Statuses: map[string]string{}}
	if err := l.readAttempts(ctx, api); err != nil {
		if !tolerable(err) {
			return l, err
		}
		l.Attempts = nil // what was read of them names no task definition
		l.Notes = append(l.Notes, "the service's deployments cannot be read ("+brief(err)+"): the outcomes that releases recorded as tags are used instead")
	}
	arns, err := l.newestRevisions(ctx, api, family)
	if err != nil {
		if !tolerable(err) {
			return l, err
		}
		l.Notes = append(l.Notes, "the family's revisions cannot be listed ("+brief(err)+")")
	}
	return l, l.readTags(ctx, api, arns)
}

func (l *Ledger) readAttempts(ctx context.Context, api API) error {
	in := ecs.ListServiceDeploymentsInput{Cluster: &l.Cluster, Service: &l.Service, MaxResults: aws.Int32(100)}
	var rollbacks, revisions []string
	for more := true; more; more = in.NextToken != nil {
		page, err := api.ListServiceDeployments(ctx, &in)
		if err != nil {
			return fmt.Errorf("list the deployments of service %s: %w", l.Service, err)
		}
		in.NextToken = page.NextToken
		for _, b := range page.ServiceDeployments {
			l.Attempts = append(l.Attempts, Attempt{
				ARN: aws.ToString(b.ServiceDeploymentArn), Status: b.Status, ServiceRevision: aws.ToString(b.TargetServiceRevisionArn),
				Created: aws.ToTime(b.CreatedAt), Finished: aws.ToTime(b.FinishedAt), Reason: aws.ToString(b.StatusReason),
			})
			revisions = append(revisions, aws.ToString(b.TargetServiceRevisionArn))
			if b.Status == types.ServiceDeploymentStatusRollbackSuccessful {
				rollbacks = append(rollbacks, aws.ToString(b.ServiceDeploymentArn))
			}
		}
	}
	slices.SortStableFunc(l.Attempts, func(a, b Attempt) int { return b.Created.Compare(a.Created) })
	back, err := restored(ctx, api, l.Cluster, rollbacks)
	if err != nil {
		return err
	}
	for _, arn := range back {
		revisions = append(revisions, arn)
	}
	byARN, err := describeRevisions(ctx, api, revisions)
	if err != nil {
		return err
	}
	for i, a := range l.Attempts {
		r := byARN[a.ServiceRevision]
		l.Attempts[i].TaskDefinition, l.Attempts[i].Digests, l.Attempts[i].Config = aws.ToString(r.TaskDefinition), digests(r), r
		if to, ok := byARN[back[a.ARN]]; ok {
			l.Attempts[i].WentBackTo, l.Attempts[i].WentBackToDigests = aws.ToString(to.TaskDefinition), digests(to)
		}
	}
	return l.findIdle(ctx, api)
}

// findIdle finds deployments that completed without a task. ECS resolves digests
// when the first task starts, so only one without any is looked at. Whether ECS keeps
// the counts of a deployment that was replaced is not known: both must say so.
func (l *Ledger) findIdle(ctx context.Context, api API) error {
	var ask []string
	for _, a := range l.Attempts {
		if a.Succeeded() && len(a.Digests) == 0 && len(ask) < describeBatch {
			ask = append(ask, a.ARN)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	res, err := api.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: ask})
	if err != nil {
		return fmt.Errorf("describe service deployments: %w", err)
	}
	for _, d := range res.ServiceDeployments {
		t := d.TargetServiceRevision
		if t == nil || t.RequestedTaskCount+t.RunningTaskCount+t.PendingTaskCount > 0 {
			continue
		}
		for i := range l.Attempts {
			l.Attempts[i].Idle = l.Attempts[i].Idle || l.Attempts[i].ARN == aws.ToString(d.ServiceDeploymentArn)
		}
	}
	return nil
}

// restored maps service deployments to the service revision that their rollback
// restored.
func restored(ctx context.Context, api API, cluster string, arns []string) (map[string]string, error) {
	out := map[string]string{}
	for some := range slices.Chunk(arns, describeBatch) {
		res, err := api.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: some})
		if err != nil {
			return nil, fmt.Errorf("describe service deployments of cluster %s: %w", cluster, err)
		}
		for _, d := range res.ServiceDeployments {
			if d.Rollback != nil {
				out[aws.ToString(d.ServiceDeploymentArn)] = aws.ToString(d.Rollback.ServiceRevisionArn)
			}
		}
	}
	return out, nil
}

func describeRevisions(ctx context.Context, api API, arns []string) (map[string]types.ServiceRevision, error) {
	slices.Sort(arns)
	arns = slices.DeleteFunc(slices.Compact(arns), func(s string) bool { return s == "" })
	out := map[string]types.ServiceRevision{}
	for some := range slices.Chunk(arns, describeBatch) {
		res, err := api.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: some})
		if err != nil {
			return nil, fmt.Errorf("describe service revisions: %w", err)
		}
		for _, r := range res.ServiceRevisions {
			out[aws.ToString(r.ServiceRevisionArn)] = r
		}
	}
	return out, nil
}

func digests(r types.ServiceRevision) map[string]string {
	out := map[string]string{}
	for _, c := range r.ContainerImages {
		if d := aws.ToString(c.ImageDigest); d != "" {
			out[aws.ToString(c.ContainerName)] = d
		}
	}
	return out
}

// newestRevisions are the revisions whose tags are worth reading.
func (l *Ledger) newestRevisions(ctx context.Context, api API, family string) ([]string, error) {
	var arns []string
	for _, a := range l.Attempts {
		if a.TaskDefinition != "" && !slices.Contains(arns, a.TaskDefinition) && len(arns) < newestTagged {
			arns = append(arns, a.TaskDefinition)
		}
	}
	if family == "" {
		return arns, nil
	}
	res, err := api.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{FamilyPrefix: &family, Sort: types.SortOrderDesc, MaxResults: aws.Int32(newestTagged)})
	if err != nil {
		return arns, fmt.Errorf("list the revisions of %s: %w", family, err)
	}
	for _, arn := range res.TaskDefinitionArns {
		// FamilyPrefix is the full family name, but an emulator or a future API may
		// take it at its word.
		if strings.HasPrefix(Name(arn), family+":") && !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
	}
	return arns, nil
}

// readTags reads tags and status of the revisions, a few at a time. A revision
// that is gone (DeleteTaskDefinitions) is marked so.
func (l *Ledger) readTags(ctx context.Context, api API, arns []string) error {
	type found struct {
		tags   Tags
		status string
	}
	results := make([]found, len(arns))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(5)
	for i, arn := range arns {
		g.Go(func() error {
			t, status, err := describe(ctx, api, l.Cluster, l.Service, arn)
			switch {
			case err != nil && tolerable(err):
				results[i] = found{status: "GONE"}
			case err != nil:
				return fmt.Errorf("describe task definition %s: %w", Name(arn), err)
			default:
				results[i] = found{t, status}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, arn := range arns {
		l.Tags[arn], l.Statuses[arn] = results[i].tags, results[i].status
	}
	return nil
}

// ReadTags reads our tags on one revision, as far as they speak of a service.
func ReadTags(ctx context.Context, api API, cluster, service, arn string) (Tags, error) {
	t, _, err := describe(ctx, api, cluster, service, arn)
	return t, err
}

func describe(ctx context.Context, api API, cluster, service, arn string) (Tags, string, error) {
	res, err := api.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
	if err != nil {
		return Tags{}, "", err
	}
	tags := map[string]string{}
	for _, t := range res.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return ParseTags(tags, cluster, service), string(res.TaskDefinition.Status), nil
}

// tolerable tells an answer of ECS that says no (denied, unknown operation, not
// found) from one that never came: a fault of the server, or throttling that
// outlasted the SDK's retries.
func tolerable(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorFault() == smithy.FaultServer {
		return false
	}
	var http interface{ HTTPStatusCode() int }
	if errors.As(err, &http) && http.HTTPStatusCode() >= 500 { // the SDK does not know the fault of every error
		return false
	}
	return api.ErrorCode() != "ThrottlingException"
}

func brief(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return err.Error()
}
