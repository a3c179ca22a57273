package page

import (
	"context"
	"time"
)

// View is what the page reads. Its methods may be called concurrently; what they
// return is a copy.
type View interface {
	Place() Place
	Clusters() []Cluster                             // by name
	Service(cluster, name string) (d Detail, _ bool) // false when there is none
	Lines(from Source, most int) []Line              // the latest, oldest first
	Repositories() []Repository                      // by name
	Calls(most int) []Call                           // the latest, newest first
	Faults() []Fault                                 // oldest first
	Traffic() []Balancer                             // by name
}

// Hand does what a button says. Its error is shown to whoever pressed.
type Hand interface {
	Press(ctx context.Context, p Press) error
}

// Press is a button that was pressed, and what it was about.
type Press struct {
	Do            string // one of the Do constants
	Cluster, Name string // of the service
	Task          string // id, of StopTask
	Fault         string // id, of TakeBack; empty: all
	Hook          string // id, of Continue and HookBack
}

// Place is where and what the sandbox is.
type Place struct {
	Instance        string // other for every start
	Account, Region string
	Address         string // http://127.0.0.1:8477
	Speed           float64
	Env             []string // NAME=value
}

// Cluster is a cluster with its services in one line each.
type Cluster struct {
	Name     string
	Services []Service // by name
	Loose    []Task    // run by themselves, newest first
}

// Service is a service in one line.
type Service struct {
	Cluster, Name             string
	Status                    string // ACTIVE, DRAINING
	Revision                  string // of the PRIMARY deployment: web:37
	Rollout                   string // of the PRIMARY deployment
	Back                      bool   // it is on its way back
	Desired, Running, Pending int
	Failed, Threshold         int // tasks; a threshold of 0 is no circuit breaker
	Deployments               int
	Strategy                  string // ROLLING, BLUE_GREEN, …
	Dots                      []Dot  // a task each, oldest first
}

// Dot is a task as a dot.
type Dot struct {
	Tone     tone
	Revision string
}

// Detail is what an open service shows beyond its line.
type Detail struct {
	Deployments []Deployment // PRIMARY first
	Attempts    []Attempt    // service deployments, oldest first
	Tasks       []Task       // the latest, newest first
	More        int          // tasks that are not among them
	Events      []Event      // newest first
}

// Deployment is a deployment of a service.
type Deployment struct {
	ID, Status, Revision, Rollout, Reason string
	Digests                               []string // of its images
	Desired, Running, Pending, Failed     int
	Created                               time.Time
}

// Attempt is a service deployment: an attempt to bring a service to a revision.
type Attempt struct {
	Status, Reason, Revision string
	From                     string // revision that served before, "" for none
	Back                     string // revision that it was rolled back to, "" for none
	Stage                    string // lifecycle stage, "" outside of them
	Weights                  []Weight
	Created, Finished        time.Time
	Failures, Threshold      int
	Hooks                    []Hook // that it waits for
}

// Hook is a lifecycle hook that a service deployment waits for.
type Hook struct {
	ID     string
	Target string // the function that decides; "" for a pause, which waits for somebody
	Until  time.Time
	Then   string // what happens at that time: ROLLBACK or CONTINUE
}

// Weight is the share of requests that a revision is to get.
type Weight struct {
	Revision string
	Percent  float64
}

// Task is a task.
type Task struct {
	ID, Revision, Status, Health, StopCode, Reason string
	Live                                           bool
	Failed                                         bool
	Created, Started, Stopped                      time.Time
	Containers                                     []Container
}

// Container is a container of a task.
type Container struct {
	Name, Status, Health, Reason string
	Checked                      bool // it has a health check
	Exit                         *int
	Ports                        []string // host:port, TCP
}

// Event is a service event.
type Event struct {
	ID, Text string
	At       time.Time
}

// Source says whose log lines are meant: those of a service's tasks, of one of
// its tasks, or of a container.
type Source struct{ Cluster, Service, Task, Container string }

// Line is a line of a log. Key tells it from every other of its service.
type Line struct {
	Key, Who, Text string
	At             time.Time
}

// Repository is a repository of the registry.
type Repository struct {
	Name      string
	Immutable bool
	Images    []Image // latest push first
}

// Image is an image of a repository.
type Image struct {
	Digest string
	Tags   []string
	Size   int64
	Pushed time.Time
}

// Call is an API call.
type Call struct {
	At                        time.Time
	Service, Operation, Error string
	Status                    int // 0: it runs, or the connection was cut
	Took                      time.Duration
}

// Fault is a fault that is armed.
type Fault struct {
	ID, Rule string // the rule as JSON
	Acted    int
	Times    int // how often it acts; 0: until it is taken back
}

// Balancer is a load balancer's address with its target groups.
type Balancer struct {
	Name, Address string // http://127.0.0.1:…
	Groups        []Group
}

// Group is a target group with its requests, second by second, the oldest first.
// All groups of a balancer end with the same second.
type Group struct {
	Name, Revision             string
	Untaken                    bool // these are the requests that no target took
	Shared                     bool // it has its requests by weight, with other groups
	Weight                     int
	Healthy, Targets, Draining int // targets that drain are not among Targets
	Colour                     int
	Seconds                    []Second
}

// Second is how many requests ended in a second.
type Second struct{ Good, Failed int }
