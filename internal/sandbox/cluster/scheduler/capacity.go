package scheduler

import (
	"fmt"
	"time"
)

// Texts of tasks that found no place (service event messages, Developer Guide).
const (
	noFargate  = "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
	portTaken  = "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance %s) is already using a port required by your task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
	noInstance = "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance %s) has insufficient memory available. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
)

// placeable is for how many of n tasks of d there is room. A task that finds no
// place is one that the scheduler cannot launch, which counts as failed
// (Deployment.failedTasks, API reference); it is tried again in the pace of
// [Pace.Place], and told about the first time.
func (s *Service) placeable(d *Deployment, n int, env Env) int {
	if d.Restored {
		return n
	}
	if env.Now.Before(d.nextTry) {
		return 0
	}
	room, text := n, s.noRoom(d, env)
	if env.Ports != nil {
		switch room = min(n, 1); env.Ports() {
		case PortsLeaving:
			return 0
		case PortsTaken:
			room, text = 0, fmt.Sprintf(portTaken, env.Instance)
		default:
			n = room // what comes beside it is looked at next
		}
	}
	if env.Room != nil {
		room = min(room, env.Room(n))
	}
	if room >= n {
		d.short = false
		return n
	}
	d.nextTry = env.Now.Add(env.Pace.Place)
	d.FailedTasks++
	d.Updated = env.Now
	if !d.short {
		d.short = true
		s.say(env, text)
	}
	return room
}

// Ports says how it stands with the host ports that a task wants.
type Ports int

// States of host ports.
const (
	PortsFree    Ports = iota
	PortsLeaving       // who has them is on its way out: nobody is to blame
	PortsTaken
)

// Retry has tasks that found no place tried again at the next step.
func (s *Service) Retry() {
	for _, d := range s.Deployments {
		d.nextTry = time.Time{}
	}
}

func (s *Service) noRoom(d *Deployment, env Env) string {
	if d.Template.Fargate {
		return noFargate
	}
	return fmt.Sprintf(noInstance, env.Instance)
}

// A Provider is one item of a capacity provider strategy.
type Provider struct {
	Name         string
	Base, Weight int
}

// provider is where the next task of a deployment is placed: the base first,
// then in the proportion of the weights (CapacityProviderStrategyItem).
func (s *Service) provider(d *Deployment) string {
	if len(d.Template.Providers) == 0 {
		return ""
	}
	placed := make(map[string]int)
	for _, t := range s.liveTasks(func(t *Task) bool { return t.Deployment == d.ID }) {
		placed[t.Provider]++
	}
	return NextProvider(d.Template.Providers, placed)
}

// NextProvider is the provider of the next task beside those that are placed.
func NextProvider(providers []Provider, placed map[string]int) string {
	best, least := "", 0.0
	for _, p := range providers {
		beyond := placed[p.Name] - p.Base
		if beyond < 0 {
			return p.Name
		}
		if p.Weight == 0 {
			continue
		}
		if share := float64(beyond+1) / float64(p.Weight); best == "" || share < least {
			best, least = p.Name, share
		}
	}
	return best
}
