package sandbox

import (
	"context"
	"encoding/json"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/page"
)

// hand does what the page's buttons say: faults, and calls as a client makes them,
// so that faults act on them and the log of calls has them.
type hand struct{ *Server }

var _ page.Hand = hand{}

// What the faults of the buttons are.
const (
	crashExit    = 139
	crashDelay   = 100 * time.Millisecond // before any health check can have passed
	slowDelay    = time.Minute
	throttleNext = 20
)

// Press does what one button says.
func (h hand) Press(ctx context.Context, p page.Press) error {
	switch p.Do {
	case page.DoCrash:
		return h.arm(fault.Rule{Task: p.Name, Exit: new(crashExit), Delay: fault.Duration(crashDelay)})
	case page.DoSlowHealth:
		if d, _ := (view{Server: h.Server}).Service(p.Cluster, p.Name); d.Unchecked() {
			return &page.Refused{Why: "Its containers have no health check that could be slow."}
		}
		return h.arm(fault.Rule{Task: p.Name, Health: fault.Slow, Delay: fault.Duration(slowDelay)})
	case page.DoNoPull:
		return h.refusePulls(p)
	case page.DoThrottle:
		return h.arm(fault.Rule{When: "*", Service: "ecs", Error: "ThrottlingException", Times: throttleNext})
	case page.DoTakeBack:
		if !h.faults.Remove(p.Fault) {
			return &page.Refused{Why: "That fault is gone already."}
		}
		return nil
	case page.DoDeploy:
		return h.call(ctx, "UpdateService", map[string]any{"cluster": p.Cluster, "service": p.Name, "forceNewDeployment": true})
	case page.DoStopTask:
		return h.call(ctx, "StopTask", map[string]any{"cluster": p.Cluster, "task": p.Task, "reason": "Stopped on the sandbox's page"})
	case page.DoRollBack:
		return h.rollBack(ctx, p)
	case page.DoContinue:
		return h.answerHook(ctx, p, "CONTINUE")
	case page.DoHookBack:
		return h.answerHook(ctx, p, "ROLLBACK")
	}
	return &page.Refused{Why: "There is no such button."}
}

func (h hand) arm(rules ...fault.Rule) error {
	if _, err := h.faults.Add(rules...); err != nil {
		return &page.Refused{Why: err.Error()}
	}
	return nil
}

// refusePulls keeps tasks from pulling what the service is made of. Images of
// other registries are beyond the sandbox.
func (h hand) refusePulls(p page.Press) error {
	var rules []fault.Rule
	seen := make(map[string]bool)
	h.cluster.Inspect(p.Cluster, p.Name, func(i cluster.Inspection) {
		for _, r := range i.Revisions {
			for _, image := range r.ContainerImages {
				repository, _, own := h.images().split(str(image.Image))
				if own && !seen[repository] {
					seen[repository] = true
					rules = append(rules, fault.Rule{Pull: "not-found", Repository: repository})
				}
			}
		}
	})
	if len(rules) == 0 {
		return &page.Refused{Why: "Its images are of other registries, which the sandbox cannot break."}
	}
	return h.arm(rules...)
}

func (h hand) rollBack(ctx context.Context, p page.Press) error {
	arn := h.underWay(p)
	if arn == "" {
		return &page.Refused{Why: "It has no service deployment to roll back."}
	}
	return h.call(ctx, "StopServiceDeployment", map[string]any{"serviceDeploymentArn": arn, "stopType": "ROLLBACK"})
}

// answerHook tells the pause that a service deployment waits at how it goes on.
func (h hand) answerHook(ctx context.Context, p page.Press, action string) error {
	arn := h.underWay(p)
	if arn == "" {
		return &page.Refused{Why: "It has no service deployment that waits."}
	}
	return h.call(ctx, "ContinueServiceDeployment", map[string]any{"serviceDeploymentArn": arn, "hookId": p.Hook, "action": action})
}

// underWay is the service deployment that the service is at, "" for none.
func (h hand) underWay(p page.Press) (arn string) {
	h.cluster.Inspect(p.Cluster, p.Name, func(i cluster.Inspection) { arn = str(i.Service.CurrentServiceDeployment) })
	return arn
}

// call does a call of ECS's API.
func (h hand) call(ctx context.Context, operation string, request map[string]any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	answer := h.api.Call(ctx, "ecs", operation, body)
	switch {
	case answer.Cut:
		return &page.Refused{Why: operation + " got no answer: a fault cut the connection."}
	case answer.ErrorCode == "":
		return nil
	}
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(answer.Body, &said) // what is no JSON has no message
	return &page.Refused{Why: operation + ": " + answer.ErrorCode + ": " + said.Message}
}
