package cluster

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The exceptions of the ECS API, with the texts that AWS sends where they are
// known.

func clusterNotFound() error {
	return &types.ClusterNotFoundException{Message: ptr("Cluster not found.")}
}

func serviceNotFound() error {
	return &types.ServiceNotFoundException{Message: ptr("Service not found.")}
}

func serviceNotActive() error {
	return &types.ServiceNotActiveException{Message: ptr("Service was not ACTIVE.")}
}

func invalid(format string, a ...any) error {
	return &types.InvalidParameterException{Message: ptr(fmt.Sprintf(format, a...))}
}

func client(format string, a ...any) error {
	return &types.ClientException{Message: ptr(fmt.Sprintf(format, a...))}
}

func unsupported(format string, a ...any) error {
	return &types.UnsupportedFeatureException{Message: ptr(fmt.Sprintf(format, a...))}
}

func conflict(resource, format string, a ...any) error {
	return &types.ConflictException{Message: ptr(fmt.Sprintf(format, a...)), ResourceIds: []string{resource}}
}

// missing is the in-band failure of the Describe operations.
func missing(arn string) types.Failure {
	return types.Failure{Arn: &arn, Reason: ptr("MISSING")}
}

func ptr[T any](v T) *T { return &v }

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
