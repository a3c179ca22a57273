// Package cluster is the control plane of the sandbox's ECS: clusters, task
// definitions, services with rolling deployments, tasks, service deployments
// and revisions, behind the operations of the ECS API.
//
// What to do is decided by package scheduler, a pure state machine. This
// package keeps its state under one lock, feeds it facts (API calls, events of
// the [task.Runtime], resolved images) and carries out what it answers: one
// goroutine, [Cluster.run], steps the services that something happened to or
// whose time has come, and calls the runtime, always without the lock.
//
// Start with [New]. [Cluster.API] is the service to mount; [Cluster.Seed] and
// its relatives write history as records. Operations that are not there are
// answered by name by package awsjson. Deployment controllers other than ECS
// can be stored and described, but nothing deploys them; strategies other than
// ROLLING are stored and carried out as ROLLING.
package cluster
