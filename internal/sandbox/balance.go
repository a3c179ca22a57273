package sandbox

import (
	"errors"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
)

// balance is Elastic Load Balancing as the cluster needs it.
type balance struct{ *balancer.Balancer }

func (b balance) Register(group, id string, port int, reach map[int]string) error {
	return said(b.Balancer.Register(group, balancer.Target{ID: id, Port: port, Reach: reach}))
}

func (b balance) Deregister(group, id string, port int) error {
	return said(b.Balancer.Deregister(group, balancer.Target{ID: id, Port: port}))
}

// SetWeights shares the traffic of a rule out.
func (b balance) SetWeights(rule string, weights map[string]int) error {
	return said(b.Balancer.SetWeights(rule, weights))
}

// said is an error by its text alone, as service events quote it.
func said(err error) error {
	if err == nil {
		return nil
	}
	_, _, message := awsjson.ErrorParts(err)
	return errors.New(message)
}

// Target says what a target group says of a target. Of one that is gone, with its
// targets, nothing more is to be expected.
func (b balance) Target(group, id string, port int) (state, why string) {
	h, err := b.Balancer.Target(group, id, port)
	if err != nil {
		return balancer.Unused, ""
	}
	return h.State, h.Description
}

// targetsChanged tells the cluster of news of a target group.
func (s *Server) targetsChanged(group string) { s.cluster.TargetsChanged(group) }
