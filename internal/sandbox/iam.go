package sandbox

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

const simulatePrincipalPolicy = "SimulatePrincipalPolicy"

// simulateResponse is SimulatePrincipalPolicy's answer in the Query protocol.
type simulateResponse struct {
	XMLName   xml.Name         `xml:"https://iam.amazonaws.com/doc/2010-05-08/ SimulatePrincipalPolicyResponse"`
	Truncated bool             `xml:"SimulatePrincipalPolicyResult>IsTruncated"`
	Results   []simulateResult `xml:"SimulatePrincipalPolicyResult>EvaluationResults>member"`
	Metadata  responseMetadata `xml:"ResponseMetadata"`
}

type simulateResult struct {
	Action   string `xml:"EvalActionName"`
	Resource string `xml:"EvalResourceName"`
	Decision string `xml:"EvalDecision"`
}

func (s *Server) iam() map[string]func(url.Values) awsjson.Answer {
	return map[string]func(url.Values) awsjson.Answer{simulatePrincipalPolicy: s.simulatePolicy}
}

// simulatePolicy allows everything that no fault denies: there are no policies
// here.
func (s *Server) simulatePolicy(form url.Values) awsjson.Answer {
	if arn := form.Get("PolicySourceArn"); arn != s.caller() {
		return queryError(awsjson.Errorf("NoSuchEntity", http.StatusNotFound, "The entity with ARN %s cannot be found.", arn))
	}
	out := simulateResponse{Metadata: responseMetadata{RequestID: rand.Text()}}
	actions, resources := members(form, "ActionNames"), members(form, "ResourceArns")
	if len(actions) == 0 {
		return queryError(awsjson.Errorf("InvalidInput", http.StatusBadRequest, "ActionNames must not be empty."))
	}
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	for _, action := range actions {
		for _, resource := range resources {
			decision := "allowed"
			if s.faults.Denies(action) {
				decision = "implicitDeny"
			}
			out.Results = append(out.Results, simulateResult{action, resource, decision})
		}
	}
	return queryAnswer(http.StatusOK, out)
}

// members is a list in a form: name.member.1, name.member.2, …
func members(form url.Values, name string) []string {
	var out []string
	for i := 1; ; i++ {
		v := form.Get(fmt.Sprintf("%s.member.%d", name, i))
		if v == "" {
			return out
		}
		out = append(out, v)
	}
}
