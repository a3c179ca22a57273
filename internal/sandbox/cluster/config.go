package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// Config is what a [Cluster] is made of. Runtime, Images and Logs are needed.
type Config struct {
	Account string // 12 digits; default 000000000000
	Region  string // default us-east-1

	// Speed divides AWS's waiting times; 0 is 1.
	Speed float64

	// Now is the wall clock of all timestamps; nil is time.Now.
	Now func() time.Time

	Runtime task.Runtime
	Images  Resolver
	Logs    LogSink

	// Changed is told after every step, when the state may be another; nil: nobody.
	Changed func()

	// Capacity limits how many tasks find a place; nil: all do.
	Capacity Capacity

	// Secrets reads the value behind a secret's valueFrom. With nil every
	// secret has a placeholder for a value.
	Secrets Secrets

	// Objects reads environment files. With nil there are none.
	Objects Objects

	// Hooks answers for the Lambda functions of lifecycle hooks. With nil
	// each of them succeeds at once.
	Hooks Hooks

	// Traffic shares requests out between target groups, and Alarms are the
	// CloudWatch alarms that deployments are watched by. Both may be nil.
	Traffic Traffic
	Alarms  Alarms

	// Balancer holds the target groups that services are in. With nil, load
	// balancers of services are stored and shown, and nothing more.
	Balancer Balancer

	// Isolated makes all tasks those of a rehearsal; see [task.Spec].
	Isolated bool

	// BreakerIgnoresCrashes makes a task that crashes after RUNNING not count
	// as failed, as AWS documents it; services were seen to count it.
	BreakerIgnoresCrashes bool
}

// A Resolver knows the images that tasks are made of.
type Resolver interface {
	// Resolve looks an image reference up, as a task definition has it, and
	// the whole image behind it, for a platform in GOOS and GOARCH words. It
	// returns an error that is ErrImageNotFound, ErrImageDenied, ErrLayer or
	// a *PlatformError, by errors.Is and errors.As, where it applies; a
	// PullError is the whole text that clients are told, and any other error is
	// told as it is.
	Resolve(image, os, arch string) (Image, error)
}

// Image is what a reference stands for.
type Image struct {
	Reference string // what the runtime pulls, pinned by digest
	Digest    string // what the reference names: an image's or an index's; empty if unknown
	Auth      *task.PullAuth
}

// Reasons why an image cannot be had; see [Resolver].
var (
	ErrImageNotFound = errors.New("image not found")
	ErrImageDenied   = errors.New("image denied")
	ErrLayer         = errors.New("layer not found")
)

// PullError is what ECS says of a pull that failed, behind the name of the error.
type PullError string

func (e PullError) Error() string { return string(e) }

// PlatformError says that an image is not for the platform that was asked for.
type PlatformError struct {
	Want string // linux/amd64
	Have []string
}

func (e *PlatformError) Error() string {
	return "image has no manifest for platform " + e.Want
}

// Capacity says for how many of a number of new tasks there is room. live lists
// the tasks that are there; of them and of the new ones only the names are filled
// in.
type Capacity interface {
	Room(of task.Spec, want int, live func() []task.Spec) int
}

// LogSink takes what containers with the awslogs driver write.
type LogSink interface {
	HasGroup(group string) bool
	CreateGroup(group string) error
	Append(group, stream string, at time.Time, message string)
}

// Secrets reads secrets by their valueFrom: the ARN or name of a parameter or
// a secret. An error's text is told to clients in the reason of the task, behind
// "execution resource retrieval failed: ".
type Secrets interface {
	Value(from string) (string, error)
}

// Objects reads objects of S3 by BUCKET/KEY.
type Objects interface {
	Get(location string) ([]byte, error)
}

// Hooks calls Lambda functions: the event and the answer are JSON. An error is
// one of the call, such as of a function that is not there.
type Hooks interface {
	Invoke(ctx context.Context, function string, event []byte) (answer []byte, err error)
}

// Traffic sets the weights of a listener rule's target groups. An error's text is
// told to clients as the reason why a deployment is rolled back.
type Traffic interface {
	SetWeights(ruleARN string, weights map[string]int) error
}

// Balancer is what services need of Elastic Load Balancing. It may be called with
// the cluster's lock, and must not call the cluster meanwhile.
type Balancer interface {
	// TargetType is a target group's: ip or instance; empty when there is none.
	TargetType(group string) string
	// Balanced reports whether a load balancer sends the target group traffic.
	Balanced(group string) bool
	// Register puts a target into a target group; reach says where its ports are
	// dialled. Deregister begins to drain it. An error's text is told to clients.
	Register(group, id string, port int, reach map[int]string) error
	Deregister(group, id string, port int) error
	// Target says what a target group says of a target (TargetHealthStateEnum),
	// and why.
	Target(group, id string, port int) (state, why string)
}

// Alarms knows the states of CloudWatch alarms: OK, ALARM or INSUFFICIENT_DATA.
// ok is false when there is no such alarm.
type Alarms interface {
	State(name string) (state string, ok bool)
}

func (c Config) withDefaults() Config {
	if c.Account == "" {
		c.Account = "000000000000"
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	return c
}
