package believed

import (
	"slices"
	"testing"
)

// A behaviour is something that AWS does.
type behaviour struct {
	does   string
	source string // where that is said
	check  func(*testing.T, *world)
}

// Where most of it is said. "API" is the ECS API reference, whose texts the SDKs
// carry; the operation's or type's name follows.
const (
	api       = "API: "
	guide     = "Amazon ECS Developer Guide: "
	waiters   = "botocore waiters-2.json: "
	examples  = "AWS CLI examples: "
	ecrAPI    = "ECR API reference: "
	elbAPI    = "Elastic Load Balancing API reference: "
	alarmsAPI = "CloudWatch API reference: "
	logsAPI   = "CloudWatch Logs API reference: "
	observed  = "observed on AWS: "
	protocol  = "AWS JSON 1.1 protocol: "
	agentText = "amazon-ecs-agent and AWS's texts: "
)

// behaviours is the list.
var behaviours = slices.Concat(
	services, updates, deployments, endings, definitions, tasks, runs, tags, images, logs, wire, balancing, alarming, strategies,
)

// least is how long the list is at least: a line that is taken out is missed.
const least = 150

func TestAWSDoes(t *testing.T) {
	if len(behaviours) < least {
		t.Errorf("the list has %d behaviours, want at least %d", len(behaviours), least)
	}
	seen := make(map[string]bool)
	for _, b := range behaviours {
		if seen[b.does] || b.source == "" || b.check == nil {
			t.Errorf("%q is there twice, or has no source or no check", b.does)
		}
		seen[b.does] = true
		t.Run(b.does, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if t.Failed() {
					t.Logf("AWS: %s", b.source)
				}
			}()
			b.check(t, start(t))
		})
	}
}
