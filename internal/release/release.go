// Package release makes a new revision serve on an ECS service, and goes back
// when it does not.
//
// A Run is one release. Its stages are data (stages.go): each has a name and a
// function that reads what earlier stages found and adds its own finding. Up to
// the deploy stage nothing that others can feel has happened, and every error is
// a refusal. From then on the release ends in the conclude stage, whatever
// happens: the revision is proven, or the service goes back to the target that
// preflight fixed.
//
// Start reading at stages.go, then preflight.go, deploy.go and conclude.go.
// Resume (resume.go) enters the same stages for a release whose process died;
// Rollback (rollback.go) is the way back by hand.
package release

import (
	"context"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/check"
	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/iam"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/onetask"
	"github.com/weelo/weelo-deploy/internal/scan"
	"github.com/weelo/weelo-deploy/internal/taskdef"
	"github.com/weelo/weelo-deploy/internal/trial"
)

// ECS is what a release needs of the ECS API.
type ECS interface {
	health.ECS
	taskdef.API
	history.API
	ListServices(context.Context, *ecs.ListServicesInput, ...func(*ecs.Options)) (*ecs.ListServicesOutput, error)
	ListClusters(context.Context, *ecs.ListClustersInput, ...func(*ecs.Options)) (*ecs.ListClustersOutput, error)
	onetask.ECS
	UpdateService(context.Context, *ecs.UpdateServiceInput, ...func(*ecs.Options)) (*ecs.UpdateServiceOutput, error)
	StopServiceDeployment(context.Context, *ecs.StopServiceDeploymentInput, ...func(*ecs.Options)) (*ecs.StopServiceDeploymentOutput, error)
}

// Engine is what a release needs of the Docker engine.
type Engine interface {
	image.LocalEngine
	image.PushEngine
	trial.Engine
	trial.Machine
}

// Builder checks and builds images.
type Builder interface {
	Check(context.Context, build.Request) (build.Nativeness, error)
	Build(context.Context, build.Request, event.Emit) (build.Result, error)
}

// Registry reads manifests from the image registry.
type Registry interface {
	Describe(ctx context.Context, ref string, want image.Platform) (image.Description, error)
	Pin(ctx context.Context, repository, digest string) (tag string, err error)
	Blob(ctx context.Context, repository, digest string) (io.ReadCloser, error)
	Tag(ctx context.Context, repository, digest, tag string) error
}

// Clients are the ways to the outside. The ones that are functions are opened
// when they are first needed.
type Clients struct {
	ECS ECS
	ECR image.ECRAPI
	Log health.Logs
	IAM iam.Simulator // nil: nobody is asked what the caller may do
	// WhoAmI answers the account and the ARN of the caller.
	WhoAmI func(context.Context) (account, arn string, err error)
	// OpenEngine connects to the Docker engine and to a builder on it.
	OpenEngine func() (Engine, Builder, error)
	// Elsewhere builds instead of the engine; nil: the engine builds.
	Elsewhere Elsewhere
	// OpenRegistry reads a registry as auth.
	OpenRegistry func(engine.Auth) Registry
	// Calls counts the AWS API calls made so far.
	Calls func() int
}

// Trial says how the image is tried before it is pushed.
type Trial struct {
	Seconds int               // 0: the default
	Env     map[string]string // values instead of placeholders
}

// OnInterrupt is what a signal does while a deployment of ours is in progress.
type OnInterrupt string

// The ways to take an interrupt.
const (
	InterruptAuto     OnInterrupt = ""         // terminal: stop watching, twice: roll back; otherwise roll back by one call
	InterruptRollback OnInterrupt = "rollback" // roll back by one call
	InterruptDetach   OnInterrupt = "detach"   // stop watching
)

// Settings say what to release, where and how.
type Settings struct {
	Rehearsal        bool   // the service is a sandbox that is gone when the run ends
	Command          string // "release", "watch", …: for the result
	Cluster, Service string
	Region           string // for the commands that messages name; empty: they name none
	Given            Given  // for the same commands
	Account          string // refuse any other; empty: any
	Repository       string // name in the account's ECR, or a full URI

	Image  string // release this image instead of building one
	Before []string
	Dir    string // where Before runs
	Build  build.Request
	Source build.Source
	Tags   []string // expanded
	// TagsGiven says that somebody named the tags for this run: no other will do.
	TagsGiven bool

	MoveTag bool // also a tag that the serving revision or the rollback target names
	NoTrial bool // do not start the image once before the push
	Trial   Trial
	Allow   []scan.Rule // files whose findings are accepted (verify.allow)

	Container            string
	Environment, Secrets map[string]string
	Base                 string // "", "current" or "latest"
	BeforeTasks          []BeforeTask
	Checks               Checks

	Timeout, Bake time.Duration
	Tolerate      health.Tolerance
	NoRollback    bool // asked for by flag: go on without a target, and never go back
	NeverRollBack bool // configured: never go back
	Backstop      bool // switch ECS's circuit breaker on for the release
	Wait          bool
	WaitTimeout   time.Duration
	Supersede     bool
	Redeploy      bool
	Rebuild       bool
	RequireClean  bool
	KeepFailed    bool
	OnInterrupt   OnInterrupt
	Terminal      bool // somebody can press Ctrl-C twice
	By            string
	RunID         string
	Pace          health.Pace
	TaskPace      onetask.Pace // of before-tasks
}

// Run is one release: its settings, its clients and what its stages have found.
type Run struct {
	Settings
	Clients
	out *event.Stream
	now func() time.Time

	// Interrupts delivers the signals after the first; see interrupt.go.
	Interrupts <-chan struct{}

	began  time.Time
	stages []event.StageOutcome

	pre          preflight           // stage 1
	artifact     artifact            // stages 2 to 4
	next         *taskdef.Definition // stage 5: what is deployed
	registered   bool                // stage 5 made a new revision
	noted        map[string]string   // this run's record, as the revision's tags have it
	goal         *goal               // stage 5: what a rollback deploys
	before       beforeState         // stage 6
	unchanged    bool
	deployed     *deployed // stage 7
	verdict      *health.Verdict
	failedChecks []check.HTTP // requests that failed after the deployment
	lost         error        // why the deployment could not be watched to its end
	goesBack     bool         // what was attached to goes back already
	goingBack    bool         // the rollback was called
	returned     string       // the ARN that the rollback brings
	// unsure is set while a call that changes the service has no known effect: it
	// was sent, and neither its answer nor the service told what came of it.
	unsure bool
	result event.Result

	// Of Resume: the deployment is somebody else's, and whether it may be rolled
	// back all the same.
	foreign, foreignRollback bool
	back                     *byHand // of Rollback
}

// deployed is our deployment.
type deployed struct {
	ID             string // ecs-svc/…
	TaskDefinition string
	CreatedAt      time.Time // AWS's clock
	// ServiceDeployment is the ARN of our service deployment, once it is known.
	ServiceDeployment string
	Backstop          *types.DeploymentCircuitBreaker // the setting before we changed it; nil when we did not
}

// goal is the rollback target as it would be deployed.
type goal struct {
	history.Target
	// Deploy is the ARN that an UpdateService rollback sends: the target, or a
	// copy of it whose images are pinned to the digests that were proven.
	Deploy string
}

// New prepares a release. It does no I/O.
func New(s Settings, c Clients, out *event.Stream, now func() time.Time) *Run {
	if now == nil {
		now = time.Now
	}
	if s.Command == "" {
		s.Command = "release"
	}
	return &Run{Settings: s, Clients: c, out: out, now: now}
}

// Execute runs the release and gives its result, which is also the last event of
// the stream. It returns when ctx ends, with what then goes on in the result.
func (r *Run) Execute(ctx context.Context) event.Result {
	r.began = r.now()
	r.result = event.Result{Command: r.Command, Cluster: r.Cluster, Service: r.Service}
	r.run(ctx, releaseStages)
	if r.result.Outcome == event.Unchanged {
		r.tagServing(ctx)
	}
	switch r.result.Outcome {
	case event.Released, event.Unchanged, event.RolledBack:
		r.concludeEarlier(ctx)
	}
	r.forget(ctx)
	return r.finish()
}

func (r *Run) finish() event.Result {
	if r.Rehearsal {
		r.result.Rehearsal, r.result.Next = true, nil
		if f := r.result.Failure; f != nil { // commands would reach for the real service
			f.Next = nil
			for _, also := range f.Also {
				also.Next = nil
			}
		}
	}
	r.nextOf(&r.result)
	r.result.Cluster, r.result.Service = history.Short(r.Cluster), history.Short(r.Service)
	if r.result.Stages = r.stages; r.stages == nil {
		r.result.Stages = []event.StageOutcome{}
	}
	r.result.Timings.TotalSeconds = seconds(r.now().Sub(r.began))
	if r.Calls != nil {
		r.result.Timings.APICalls = r.Calls()
	}
	r.out.In("")(r.result)
	return r.result
}

func (r *Run) keys() history.Keys { return history.KeysOf(r.Cluster, r.Service) }

func (r *Run) site() Site { return Site{ECS: r.ECS, Cluster: r.Cluster, Service: r.Service} }

func (r *Run) watcher(stage string) *health.Watcher {
	return &health.Watcher{ECS: r.ECS, Logs: r.Log, Emit: r.out.In(stage), Pace: r.Pace}
}

func (r *Run) note(stage string, level event.Level, text string) {
	r.out.In(stage)(event.Note{Level: level, Text: text})
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
