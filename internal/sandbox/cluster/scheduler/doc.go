// Package scheduler is the part of the sandbox's ECS that decides: which
// tasks of a service to start and stop, when a deployment is complete or has
// failed, and what it goes back to.
//
// It performs nothing. [Service.Step] looks at the state and the time in
// [Env], moves the state on, and answers with the actions that somebody has
// to take and the time at which it wants to be called again; what happens
// outside comes in as facts, through the methods of [Task] and [Service]. So
// the same state, facts and times always give the same result, and a rolling
// deployment of half an hour is tested in microseconds.
//
// A deployment of another strategy than ROLLING, or with hooks or a bake time, has a
// [Course] through lifecycle stages. What it wants done outside is asked for after a
// step: [Service.Invocations] are functions to call, and the course's weights are
// those that the traffic is to have.
//
// The rules follow the Amazon ECS Developer Guide (service deployments,
// deployment circuit breaker, service throttle logic, service event messages,
// task lifecycle) and the API reference. Where AWS publishes no number, such
// as how long a task is provisioned, the number in [Pace] is what was
// observed.
package scheduler
