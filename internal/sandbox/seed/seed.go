// Package seed reads the file that gives a sandbox its past: clusters,
// repositories, revisions with their numbers, and services with the deployments
// that they went through.
//
// A seed is a record, not a script: "revision 36 failed three days ago" is
// written down, not replayed. Only what serves is really run: the newest
// deployment of a service with outcome SUCCESSFUL and, over it, one that is
// IN_PROGRESS.
//
// [Load] is strict: unknown keys, wrong types and references to nothing are
// errors with the file's line, all of them at once. The file is YAML, or JSON,
// which is YAML too.
package seed

import "github.com/weelo/weelo-deploy/internal/sandbox/hooks"

// Registry stands for the sandbox registry's address (127.0.0.1:PORT) in the
// image references of task definitions. The port is known only when the sandbox
// listens.
const Registry = "${REGISTRY}"

// Outcomes of a deployment: how its service deployment ended. The words are the
// API's (ServiceDeploymentStatus).
const (
	Successful         = "SUCCESSFUL"
	Stopped            = "STOPPED" // replaced by a later one before it completed
	RollbackSuccessful = "ROLLBACK_SUCCESSFUL"
	RollbackFailed     = "ROLLBACK_FAILED"
	InProgress         = "IN_PROGRESS" // only the newest: it is really run, over the one that serves
)

// Seed is the whole file.
type Seed struct {
	// BreakerCountsCrashes says whether a crash after RUNNING counts for the
	// circuit breaker. Nil means yes, as observed; false is as AWS documents it.
	BreakerCountsCrashes *bool        `yaml:"breakerCountsCrashes"`
	Throttle             bool         `yaml:"throttle"` // refuse calls that come faster than AWS takes them
	Clusters             []Cluster    `yaml:"clusters"`
	Repositories         []Repository `yaml:"repositories"`
	LogGroups            []LogGroup   `yaml:"logGroups"`
	TaskDefinitions      []Revision   `yaml:"taskDefinitions"`
	Services             []Service    `yaml:"services"`
	Alarms               []Alarm      `yaml:"alarms"`
	Projects             []Project    `yaml:"projects"`
	// Faults are rules as package fault takes them. They act once everything else
	// is there.
	Faults     []JSON      `yaml:"faults"`
	Parameters []Parameter `yaml:"parameters"`
	Secrets    []Secret    `yaml:"secrets"`
	Objects    []Object    `yaml:"objects"`
	Hooks      []Hook      `yaml:"hooks"`

	TargetGroups  []TargetGroup  `yaml:"targetGroups"`
	LoadBalancers []LoadBalancer `yaml:"loadBalancers"`
}

// Parameter is a parameter of SSM.
type Parameter struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
	Type  string `yaml:"type"` // String (default), StringList, SecureString
}

// Secret is a secret of Secrets Manager. Task definitions name it by its ARN
// without the six letters at the end, which are made by chance.
type Secret struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

// Hook says what a Lambda function of a lifecycle hook answers.
type Hook hooks.Script

// Object is an object of S3: an environment file, for example. Its bucket is made.
type Object struct {
	Bucket string `yaml:"bucket"`
	Key    string `yaml:"key"`
	Body   string `yaml:"body"`
}

// Project is a CodeBuild project whose source is in S3. Its builds run their
// commands on this machine.
type Project struct {
	Name   string `yaml:"name"`
	Source string `yaml:"source"` // BUCKET/KEY; the bucket is made
	Type   string `yaml:"type"`   // LINUX_CONTAINER (default), ARM_CONTAINER, …
}

// Alarm is a CloudWatch alarm: one that keeps its state until somebody sets it,
// or a composite one that follows its rule.
type Alarm struct {
	Name  string `yaml:"name"`
	State string `yaml:"state"` // OK (default), ALARM or INSUFFICIENT_DATA
	Rule  string `yaml:"rule"`  // of a composite alarm: ALARM(one) OR ALARM(other)
}

// Cluster is an ECS cluster.
type Cluster struct {
	Name string            `yaml:"name"`
	Tags map[string]string `yaml:"tags"`
}

// LogGroup is a CloudWatch Logs group.
type LogGroup struct {
	Name string `yaml:"name"`
}

// Repository is an ECR repository.
type Repository struct {
	Name      string `yaml:"name"`
	Immutable bool   `yaml:"immutable"`
	// Except are wildcards of tags for which the opposite of Immutable holds.
	Except     []string `yaml:"except"`
	Lifecycle  JSON     `yaml:"lifecycle"` // a policy: {rules: […]}
	ScanOnPush bool     `yaml:"scanOnPush"`
	Images     []Image  `yaml:"images"`
}

// Image is an image of a repository. Exactly one of Digest, From and Builtin
// says what it is.
type Image struct {
	// Name is what deployments of this file call the image; it is not stored.
	Name string   `yaml:"name"`
	Tags []string `yaml:"tags"`
	// Digest names an image that is on record only: listed, but its layers are
	// gone and it cannot be pulled.
	Digest string `yaml:"digest"`
	// From is a reference in the local engine; it is pushed at the start.
	From     string   `yaml:"from"`
	Builtin  *Builtin `yaml:"builtin"`
	PushedAt Age      `yaml:"pushedAt"`

	PulledAt   Age       `yaml:"pulledAt"`   // last; default: never
	ArchivedAt Age       `yaml:"archivedAt"` // it is in the archive since
	Findings   []Finding `yaml:"findings"`   // that a scan will find
}

// Finding is something that a scan of an image finds.
type Finding struct {
	Name        string `yaml:"name"`     // CVE-2026-1
	Severity    string `yaml:"severity"` // CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL or UNDEFINED
	Description string `yaml:"description"`
	URI         string `yaml:"uri"`
}

// Programs of a [Builtin] image.
const (
	Serve      = "serve"       // answers HTTP 200 with Body on Port
	Idle       = "idle"        // runs until it is told to stop
	IgnoreTerm = "ignore-term" // runs until it is killed
	Exit       = "exit"        // says its Stdout and Stderr, waits, and exits with Code
	Segfault   = "segfault"    // says its Stdout and Stderr, waits, and dies of SIGSEGV
	Hog        = "hog"         // takes MemoryMiB and runs on
)

// Builtin is an image that the sandbox makes by itself, of one small program.
type Builtin struct {
	Program   string   `yaml:"program"`
	OS        string   `yaml:"os"`        // as the image claims; default linux
	Arch      string   `yaml:"arch"`      // as the image claims; default amd64
	Port      uint16   `yaml:"port"`      // default 8080
	Body      string   `yaml:"body"`      // default "ok"
	Code      uint8    `yaml:"code"`      // of Exit
	After     Duration `yaml:"after"`     // of Exit and Segfault
	Stdout    string   `yaml:"stdout"`    // of Exit and Segfault
	Stderr    string   `yaml:"stderr"`    // of Exit and Segfault
	MemoryMiB uint16   `yaml:"memoryMiB"` // of Hog
}

// Revision is one task definition with its number.
type Revision struct {
	Family       string            `yaml:"family"`
	Revision     int               `yaml:"revision"`
	Status       string            `yaml:"status"` // ACTIVE (default) or INACTIVE
	RegisteredAt Age               `yaml:"registeredAt"`
	Tags         map[string]string `yaml:"tags"`
	// Definition is RegisterTaskDefinition's request without family and tags.
	Definition JSON `yaml:"definition"`
}

// Service is a service with its past.
type Service struct {
	Cluster      string            `yaml:"cluster"`
	Name         string            `yaml:"name"`
	Family       string            `yaml:"family"` // of its deployments' revisions
	DesiredCount int               `yaml:"desiredCount"`
	CreatedAt    Age               `yaml:"createdAt"` // default: its oldest deployment's
	Tags         map[string]string `yaml:"tags"`
	// Settings are further members of CreateService's request: launchType,
	// networkConfiguration, deploymentConfiguration, …
	Settings JSON `yaml:"settings"`
	// Deployments are oldest first; at least one is SUCCESSFUL or IN_PROGRESS.
	Deployments []Deployment `yaml:"deployments"`
}

// Deployment is one deployment of a service on record.
type Deployment struct {
	Revision   int    `yaml:"revision"`
	Outcome    string `yaml:"outcome"`
	Reason     string `yaml:"reason"` // the service deployment's statusReason
	CreatedAt  Age    `yaml:"createdAt"`
	FinishedAt Age    `yaml:"finishedAt"` // default: 3 minutes after CreatedAt
	// Digests holds, by container, the image digest that was resolved then. In
	// the file a value may also be the Name of an image; [Seed.Resolve] turns
	// it into the digest.
	Digests     map[string]string `yaml:"digests"`
	FailedTasks int               `yaml:"failedTasks"`
	Events      []string          `yaml:"events"`  // service events of that time, oldest first
	Stopped     []StoppedTask     `yaml:"stopped"` // tasks of this deployment that failed
}

// StoppedTask is a task that ended. ECS forgets tasks an hour after they
// stopped, and so does the sandbox.
type StoppedTask struct {
	StoppedAt     Age      `yaml:"stoppedAt"` // default: its deployment's FinishedAt
	StopCode      string   `yaml:"stopCode"`  // EssentialContainerExited, TaskFailedToStart, …
	StoppedReason string   `yaml:"stoppedReason"`
	Container     string   `yaml:"container"`
	ExitCode      *int     `yaml:"exitCode"`
	Reason        string   `yaml:"reason"` // the container's
	Logs          []string `yaml:"logs"`
}

// Serves is the index of the deployment that serves: the newest SUCCESSFUL one,
// or -1 when none is.
func (s Service) Serves() int {
	for i := len(s.Deployments) - 1; i >= 0; i-- {
		if s.Deployments[i].Outcome == Successful {
			return i
		}
	}
	return -1
}

// Running is the index of the deployment that is in progress, or -1.
func (s Service) Running() int {
	if last := len(s.Deployments) - 1; last >= 0 && s.Deployments[last].Outcome == InProgress {
		return last
	}
	return -1
}
