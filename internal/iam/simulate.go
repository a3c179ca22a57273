package iam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// Simulator is the part of IAM's API that tells what a caller may do; *iam.Client
// has it.
type Simulator interface {
	SimulatePrincipalPolicy(context.Context, *iam.SimulatePrincipalPolicyInput, ...func(*iam.Options)) (*iam.SimulatePrincipalPolicyOutput, error)
	GetRole(context.Context, *iam.GetRoleInput, ...func(*iam.Options)) (*iam.GetRoleOutput, error)
}

var _ Simulator = (*iam.Client)(nil)

// CannotTell is the error of a simulation that is not possible: what the caller
// may do is not known.
type CannotTell struct {
	Reason string
	Cause  error // of AWS, or nil
}

func (e *CannotTell) Error() string { return "IAM's simulator cannot tell: " + e.Reason }

// Unwrap gives AWS's error to errors.As.
func (e *CannotTell) Unwrap() error { return e.Cause }

// parallel bounds the simulations that run at once; IAM's API is throttled early.
const parallel = 3

// Denied are the needs that the caller's policies do not allow, by IAM's simulator.
// callerARN is what sts:GetCallerIdentity says. An error of type *CannotTell says
// that there is no simulation for this caller.
//
// The simulator knows the caller's own policies, its permissions boundary and the
// organization's service control policies. It does not know session policies, nor
// policies of a repository or a role, so that a need which it denies may still be
// granted by one.
func Denied(ctx context.Context, api Simulator, callerARN string, needs []Need) ([]Need, error) {
	principal, err := principalOf(ctx, api, callerARN)
	if err != nil {
		return nil, err
	}
	questions := ask(needs)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(parallel)
	for _, q := range questions {
		work.Go(func() error { return q.simulate(ctx, api, principal) })
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(needs), func(n Need) bool {
		return !slices.ContainsFunc(questions, func(q *question) bool { return q.about(n) && q.denied[n.Action] })
	}), nil
}

// question asks about actions on one resource: a call about several resources
// answers for them together.
type question struct {
	resource  string
	condition Condition
	denied    map[string]bool // by action, every one that is asked about
}

func (q *question) about(n Need) bool { return q.resource == n.Resource && q.condition == n.Condition }

func ask(needs []Need) []*question {
	var out []*question
	for _, n := range needs {
		i := slices.IndexFunc(out, func(q *question) bool { return q.about(n) })
		if i < 0 {
			i = len(out)
			out = append(out, &question{n.Resource, n.Condition, map[string]bool{}})
		}
		out[i].denied[n.Action] = false
	}
	return out
}

func (q *question) simulate(ctx context.Context, api Simulator, principal string) error {
	in := &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: &principal, ActionNames: slices.Sorted(maps.Keys(q.denied)), ResourceArns: []string{q.resource},
	}
	if c := q.condition; c != (Condition{}) {
		in.ContextEntries = []types.ContextEntry{{ContextKeyName: &c.Key, ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{c.Value}}}
	}
	for more := true; more; more = in.Marker != nil {
		out, err := api.SimulatePrincipalPolicy(ctx, in)
		if err != nil {
			return unanswered(err, "iam:SimulatePrincipalPolicy")
		}
		for _, r := range out.EvaluationResults {
			// A policy with a condition on what only a real call has (its address, MFA, a
			// principal's tag) may allow it all the same.
			open := r.EvalDecision == types.PolicyEvaluationDecisionTypeImplicitDeny && len(r.MissingContextValues) > 0
			q.denied[aws.ToString(r.EvalActionName)] = r.EvalDecision != types.PolicyEvaluationDecisionTypeAllowed && !open
		}
		in.Marker = nil
		if out.IsTruncated {
			in.Marker = out.Marker
		}
	}
	return nil
}

// principalOf is the user or role whose policies decide for a caller. A session
// is simulated by its role, whose path the session's ARN leaves out: IAM is asked
// for it.
func principalOf(ctx context.Context, api Simulator, caller string) (string, error) {
	part := strings.SplitN(caller, ":", 6) // arn, partition, service, region, account, resource
	if len(part) != 6 {
		return "", &CannotTell{Reason: fmt.Sprintf("%q is no ARN", caller)}
	}
	kind, name, _ := strings.Cut(part[5], "/")
	switch {
	case part[2] == "iam" && (kind == "user" || kind == "role"):
		return caller, nil
	case kind == "root":
		return "", &CannotTell{Reason: "the caller is the account's root user, which no policy of the account limits"}
	case kind != "assumed-role":
		return "", &CannotTell{Reason: "it knows users and roles, and the caller is " + part[5]}
	}
	role, _, _ := strings.Cut(name, "/")
	out, err := api.GetRole(ctx, &iam.GetRoleInput{RoleName: &role})
	if err == nil && out.Role != nil {
		return aws.ToString(out.Role.Arn), nil
	}
	if denied(err) { // most roles have no path
		return "arn:" + part[1] + ":iam::" + part[4] + ":role/" + role, nil
	}
	return "", unanswered(err, "iam:GetRole")
}

func denied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "AccessDenied" || api.ErrorCode() == "AccessDeniedException")
}

// unanswered is a *CannotTell where IAM refuses to simulate, and err otherwise.
func unanswered(err error, permission string) error {
	var missing *types.NoSuchEntityException
	switch {
	case denied(err):
		return &CannotTell{Reason: permission + " is not allowed", Cause: err}
	case errors.As(err, &missing):
		return &CannotTell{Reason: "the caller's role is not found in this account (a role with a path wants iam:GetRole)", Cause: err}
	}
	return fmt.Errorf("ask IAM's simulator (%s): %w", permission, err)
}
