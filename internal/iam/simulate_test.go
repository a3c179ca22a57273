package iam

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// account is IAM with policies that deny some actions. It gives one result a page.
type account struct {
	denies  []string
	fails   string // error code of every simulation
	roleErr string // error code of GetRole
	path    string // of every role
	wants   string // a context key that only a real call has, for what is denied

	mu     sync.Mutex
	asked  map[string]bool // principals
	values map[string]bool // of context keys
}

func (a *account) SimulatePrincipalPolicy(_ context.Context, in *iam.SimulatePrincipalPolicyInput, _ ...func(*iam.Options)) (*iam.SimulatePrincipalPolicyOutput, error) {
	if a.fails != "" {
		return nil, coded(a.fails)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked[*in.PolicySourceArn] = true
	for _, c := range in.ContextEntries {
		a.values[*c.ContextKeyName+"="+strings.Join(c.ContextKeyValues, ",")] = true
	}
	n := len(aws.ToString(in.Marker)) // as many actions were answered before
	decision := types.PolicyEvaluationDecisionTypeAllowed
	if slices.Contains(a.denies, in.ActionNames[n]+" "+in.ResourceArns[0]) {
		decision = types.PolicyEvaluationDecisionTypeImplicitDeny
	}
	out := &iam.SimulatePrincipalPolicyOutput{EvaluationResults: []types.EvaluationResult{{
		EvalActionName: &in.ActionNames[n], EvalResourceName: &in.ResourceArns[0], EvalDecision: decision,
	}}}
	if a.wants != "" {
		out.EvaluationResults[0].MissingContextValues = []string{a.wants}
	}
	if n+1 < len(in.ActionNames) {
		out.IsTruncated, out.Marker = true, aws.String(strings.Repeat("x", n+1))
	}
	return out, nil
}

func (a *account) GetRole(_ context.Context, in *iam.GetRoleInput, _ ...func(*iam.Options)) (*iam.GetRoleOutput, error) {
	if a.roleErr != "" {
		return nil, coded(a.roleErr)
	}
	return &iam.GetRoleOutput{Role: &types.Role{Arn: aws.String("arn:aws:iam::318774499084:role" + a.path + *in.RoleName)}}, nil
}

func coded(code string) error {
	if code == "NoSuchEntity" {
		return &types.NoSuchEntityException{}
	}
	return &smithy.GenericAPIError{Code: code, Message: "no"}
}

func newAccount() *account {
	return &account{asked: map[string]bool{}, values: map[string]bool{}, path: "/"}
}

const user = "arn:aws:iam::318774499084:user/ci"

func TestDenied_namesWhatThePoliciesDoNotAllow(t *testing.T) {
	a := newAccount()
	a.denies = []string{
		"ecs:UpdateService arn:aws:ecs:ap-south-1:318774499084:service/weelocluster/backend",
		"ecs:StopServiceDeployment arn:aws:ecs:ap-south-1:318774499084:service-deployment/weelocluster/backend/*",
		"ecs:DescribeTasks arn:aws:ecs:ap-south-1:318774499084:service/other",
	}
	got, err := Denied(t.Context(), a, user, Needs(everything()))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, n := range got {
		list = append(list, n.Action+" "+n.Resource)
	}
	if d := cmp.Diff(a.denies[:2], list); d != "" {
		t.Errorf("denied (-want +got):\n%s", d)
	}
	want := map[string]bool{"ecs:cluster=arn:aws:ecs:ap-south-1:318774499084:cluster/weelocluster": true, "iam:PassedToService=ecs-tasks.amazonaws.com": true}
	if d := cmp.Diff(want, a.values); d != "" {
		t.Errorf("context (-want +got):\n%s", d)
	}
}

func TestDenied_leavesOpenWhatOnlyARealCallCanTell(t *testing.T) {
	a := newAccount()
	a.denies = []string{"ecs:UpdateService arn:aws:ecs:ap-south-1:318774499084:service/weelocluster/backend"}
	a.wants = "aws:SourceIp"
	got, err := Denied(t.Context(), a, user, Needs(everything()))
	if err != nil || len(got) != 0 {
		t.Errorf("Denied = %v, %v, want nothing: the policy asks for the caller's address", got, err)
	}
}

func TestDenied_simulatesTheRoleOfASession(t *testing.T) {
	for name, test := range map[string]struct {
		caller, path, roleErr, want string
	}{
		"a user":                  {caller: user, want: user},
		"a role with a path":      {caller: "arn:aws:sts::318774499084:assumed-role/deploy/run-1", path: "/ci/", want: "arn:aws:iam::318774499084:role/ci/deploy"},
		"a role that is not read": {caller: "arn:aws-cn:sts::318774499084:assumed-role/deploy/run-1", roleErr: "AccessDenied", want: "arn:aws-cn:iam::318774499084:role/deploy"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount()
			a.path, a.roleErr = test.path, test.roleErr
			if _, err := Denied(t.Context(), a, test.caller, Needs(incident)); err != nil {
				t.Fatal(err)
			}
			if !a.asked[test.want] || len(a.asked) != 1 {
				t.Errorf("simulated %v, want %s", a.asked, test.want)
			}
		})
	}
}

func TestDenied_saysWhereItCannotTell(t *testing.T) {
	const session = "arn:aws:sts::318774499084:assumed-role/deploy/run-1"
	for name, test := range map[string]struct {
		caller, fails, roleErr, want string
	}{
		"the simulation is denied": {user, "AccessDenied", "", "iam:SimulatePrincipalPolicy is not allowed"},
		"the role is not there":    {session, "", "NoSuchEntity", "the caller's role is not found"},
		"a guessed role is wrong":  {session, "NoSuchEntity", "AccessDenied", "the caller's role is not found"},
		"the root user":            {"arn:aws:iam::318774499084:root", "", "", "root user"},
		"a federated user":         {"arn:aws:sts::318774499084:federated-user/x", "", "", "it knows users and roles"},
		"no ARN":                   {"x", "", "", "no ARN"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount()
			a.fails, a.roleErr = test.fails, test.roleErr
			_, err := Denied(t.Context(), a, test.caller, Needs(incident))
			var cannot *CannotTell
			if !errors.As(err, &cannot) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Denied = %v, want a *CannotTell with %q", err, test.want)
			}
		})
	}
	t.Run("a fault is another error", func(t *testing.T) {
		a := newAccount()
		a.fails = "Throttling"
		_, err := Denied(t.Context(), a, user, Needs(incident))
		if err == nil || errors.As(err, new(*CannotTell)) {
			t.Errorf("Denied = %v, want an error that is no *CannotTell", err)
		}
	})
}
