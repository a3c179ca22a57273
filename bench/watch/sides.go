package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// broken is a way in which a release breaks.
type broken struct {
	name   string
	script scripted.Script
}

// The texts are those that Fargate gives.
var cases = []broken{
	{"segfaulting image", scripted.Script{Exits: true, ExitCode: 139, ExitAfter: 20 * time.Millisecond}},
	{"missing image", scripted.Script{PullError: "pull image manifest has been retried 5 time(s): failed to resolve ref weelo-backend:v2: not found"}},
	{"wrong platform", scripted.Script{PullError: "pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'"}},
}

// side is who ends a broken release.
type side struct {
	name    string
	breaker *types.DeploymentCircuitBreaker // nil: weelo-deploy does
}

const (
	ours = iota
	byDefault
	byOne
)

var sides = []side{
	ours:      {"weelo-deploy", nil},
	byDefault: {"circuit breaker, default", &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}},
	byOne: {"circuit breaker, COUNT 1", &types.DeploymentCircuitBreaker{Enable: true, Rollback: true,
		ThresholdConfiguration: &types.ThresholdConfiguration{Type: types.ThresholdTypeCount, Value: 1}}},
}
