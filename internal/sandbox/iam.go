package sandbox

import (
	"context"
	"net/http"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/awsquery"
)

type simulateInput struct {
	PolicySourceArn string
	ActionNames     []string
	ResourceArns    []string
}

type simulateOutput struct {
	IsTruncated       bool
	EvaluationResults []simulateResult
}

type simulateResult struct {
	EvalActionName, EvalResourceName, EvalDecision string
}

// mostResults bounds an answer, which is as long as the product of its request's lists.
const mostResults = 20_000

func (s *Server) iam() *awsquery.Service {
	api := awsquery.NewService("2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/")
	awsquery.Handle(api, "SimulatePrincipalPolicy", s.simulatePolicy)
	return api
}

// simulatePolicy allows everything that no fault denies: there are no policies
// here.
func (s *Server) simulatePolicy(_ context.Context, in *simulateInput) (*simulateOutput, error) {
	switch {
	case in.PolicySourceArn != s.caller():
		return nil, awsjson.Errorf("NoSuchEntity", http.StatusNotFound, "The entity with ARN %s cannot be found.", in.PolicySourceArn)
	case len(in.ActionNames) == 0:
		return nil, awsjson.Errorf("InvalidInput", http.StatusBadRequest, "ActionNames must not be empty.")
	case len(in.ActionNames)*len(in.ResourceArns) > mostResults:
		return nil, awsjson.Errorf("InvalidInput", http.StatusBadRequest, "The sandbox simulates at most %d actions on resources at once.", mostResults)
	case len(in.ResourceArns) == 0:
		in.ResourceArns = []string{"*"}
	}
	out := &simulateOutput{EvaluationResults: []simulateResult{}}
	for _, action := range in.ActionNames {
		for _, resource := range in.ResourceArns {
			decision := "allowed"
			if s.faults.Denies(action) {
				decision = "implicitDeny"
			}
			out.EvaluationResults = append(out.EvaluationResults, simulateResult{action, resource, decision})
		}
	}
	return out, nil
}
