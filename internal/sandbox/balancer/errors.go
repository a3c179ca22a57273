package balancer

import (
	"net/http"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// refuse is an error of the API with AWS's name for it.
func refuse(code, format string, a ...any) error {
	return awsjson.Errorf(code, http.StatusBadRequest, format, a...)
}

func invalid(format string, a ...any) error { return refuse("ValidationError", format, a...) }

func unsupported(what string) error {
	return refuse("OperationNotPermitted", "The sandbox has no %s.", what)
}

func errGroup(arn string) error {
	return refuse("TargetGroupNotFound", "One or more target groups not found: %s", arn)
}

func errBalancer(arn string) error {
	return refuse("LoadBalancerNotFound", "One or more load balancers not found: %s", arn)
}

func errListener(arn string) error {
	return refuse("ListenerNotFound", "One or more listeners not found: %s", arn)
}

func errRule(arn string) error {
	return refuse("RuleNotFound", "One or more rules not found: %s", arn)
}
