package balancer

import (
	"net/http"
	"strings"

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
	return refuse("TargetGroupNotFound", "Target groups '%s' not found", arn)
}

func errBalancer(arn string) error {
	return refuse("LoadBalancerNotFound", "Load balancers '[%s]' not found", arn)
}

func errListener(arn string) error {
	return refuse("ListenerNotFound", "Listeners '%s' not found", arn)
}

func errRule(arn string) error {
	return refuse("RuleNotFound", "Rules '%s' not found", arn)
}

// errOf says that what an ARN names is not there.
func errOf(arn string) error {
	switch {
	case strings.Contains(arn, ":targetgroup/"):
		return errGroup(arn)
	case strings.Contains(arn, ":listener-rule/"):
		return errRule(arn)
	case strings.Contains(arn, ":listener/"):
		return errListener(arn)
	case strings.Contains(arn, ":loadbalancer/"):
		return errBalancer(arn)
	}
	return invalid("'%s' is not a valid ARN", arn)
}
