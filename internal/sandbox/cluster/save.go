package cluster

import (
	"context"
	"encoding/json"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/snapshot"
)

// kept is what of a control plane lives through a restart. What is prepared and
// not yet run is made anew.
type kept struct {
	clusters    map[string]*clusterRecord
	definitions *definition.Store
}

// Save is the state as it is now.
func (c *Cluster) Save() (json.RawMessage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return snapshot.Marshal(&kept{c.clusters, c.definitions})
}

// Load takes a state that was saved, before anything else happens. What ran then
// has ended: tasks by themselves are STOPPED, and those of services are started
// anew by [Cluster.Resume].
func (c *Cluster) Load(raw json.RawMessage) error {
	k := kept{definitions: definition.NewStore(c.cfg.Account, c.cfg.Region)}
	if err := snapshot.Unmarshal(raw, &k); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clusters, c.definitions = k.clusters, k.definitions
	env := c.env()
	for _, cl := range c.clusters {
		for _, t := range cl.loose {
			t.sched.Lose(env.Now)
		}
		cl.dirtyLoose = true
		for _, s := range cl.services {
			if s.sched != nil {
				s.sched.Resume(env)
			}
			s.dirty = true
		}
	}
	return nil
}

// Resume goes on with what Load has found. It returns when every task that served
// runs again, or has failed to.
func (c *Cluster) Resume(ctx context.Context) error {
	c.notify()
	return c.await(ctx, func() (bool, error) {
		for _, cl := range c.clusters {
			for _, s := range cl.services {
				if s.sched != nil && s.sched.Resuming() {
					return false, nil
				}
			}
		}
		return true, nil
	})
}
