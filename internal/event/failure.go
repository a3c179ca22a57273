package event

import (
	"errors"
	"slices"
	"strings"
)

// Code names a kind of failure. The list is closed and documented in
// docs/failure-codes.md; scripts may branch on it.
type Code string

// Codes of refusals: nothing that others can feel has happened.
const (
	CodeUsage                 Code = "USAGE"
	CodeConfig                Code = "CONFIG"
	CodeCredentials           Code = "CREDENTIALS"
	CodeWrongAccount          Code = "WRONG_ACCOUNT"
	CodeNotFound              Code = "NOT_FOUND"
	CodeAccessDenied          Code = "ACCESS_DENIED"
	CodeUnsupportedController Code = "UNSUPPORTED_CONTROLLER"
	CodeUnsupported           Code = "UNSUPPORTED"
	CodeServiceNotReady       Code = "SERVICE_NOT_READY" // draining, desired count 0, settings that cannot make progress
	CodeDeploymentInProgress  Code = "DEPLOYMENT_IN_PROGRESS"
	CodeNoRollbackTarget      Code = "NO_ROLLBACK_TARGET"
	CodeNoEngine              Code = "NO_ENGINE"
	CodeEmulatedBuild         Code = "EMULATED_BUILD"
	CodeBuildFailed           Code = "BUILD_FAILED"
	CodePlatformMismatch      Code = "PLATFORM_MISMATCH"
	CodeBinaryMismatch        Code = "BINARY_MISMATCH"
	CodePushFailed            Code = "PUSH_FAILED"
	CodeTagImmutable          Code = "TAG_IMMUTABLE"
	CodeTagInUse              Code = "TAG_IN_USE"
	CodeInvalidDefinition     Code = "INVALID_DEFINITION"
	CodeChanged               Code = "CHANGED_SINCE_PREFLIGHT"
	CodeUnavailable           Code = "AWS_UNAVAILABLE"
	CodeDirtyTree             Code = "DIRTY_TREE"
	CodePortTaken             Code = "PORT_TAKEN"
)

// Codes of failures of a deployment: what a stopped task, or ECS itself, says
// against it. Those of exit codes (EXIT_139_SIGSEGV) are made by health.ExitCode.
const (
	CodeOutOfMemory           Code = "OUT_OF_MEMORY"
	CodeExecFormat            Code = "EXEC_FORMAT"
	CodeCannotPullPlatform    Code = "CANNOT_PULL_PLATFORM"
	CodeCannotPullNotFound    Code = "CANNOT_PULL_NOT_FOUND"
	CodeCannotPullDenied      Code = "CANNOT_PULL_DENIED"
	CodeCannotPullAttestation Code = "CANNOT_PULL_ATTESTATION"
	CodeCannotPullLayers      Code = "CANNOT_PULL_LAYERS"
	CodeCannotPullNetwork     Code = "CANNOT_PULL_NETWORK"
	CodeCannotPullRateLimit   Code = "CANNOT_PULL_RATE_LIMIT"
	CodeCannotPullDisk        Code = "CANNOT_PULL_DISK"
	CodeCannotPullOther       Code = "CANNOT_PULL_OTHER"
	CodeCannotStart           Code = "CANNOT_START"
	CodeResourceSecret        Code = "RESOURCE_INIT_SECRET"
	CodeResourceLogGroup      Code = "RESOURCE_INIT_LOG_GROUP"
	CodeResourceDenied        Code = "RESOURCE_INIT_DENIED"
	CodeResourceNetwork       Code = "RESOURCE_INIT_NETWORK"
	CodeResourceVolume        Code = "RESOURCE_INIT_VOLUME"
	CodeResourceInit          Code = "RESOURCE_INIT"
	CodeCapacity              Code = "CAPACITY"
	CodePlacement             Code = "PLACEMENT"
	CodeQuota                 Code = "QUOTA"
	CodeUnhealthyContainer    Code = "UNHEALTHY_CONTAINER"
	CodeUnhealthyTarget       Code = "UNHEALTHY_LOAD_BALANCER"
	CodeUnhealthyCloudMap     Code = "UNHEALTHY_CLOUD_MAP"
	CodeUnhealthy             Code = "UNHEALTHY"
	CodeTaskFailed            Code = "TASK_FAILED" // a stop that no other code names
	CodeAlarm                 Code = "ALARM"
	CodeECSGaveUp             Code = "ECS_GAVE_UP"
	CodeTimeout               Code = "TIMEOUT"
	CodeECSRolledBack         Code = "ECS_ROLLED_BACK"
	CodeSuperseded            Code = "SUPERSEDED"
	CodeInterrupted           Code = "INTERRUPTED"
	CodeRolledBackByHand      Code = "ROLLED_BACK_BY_HAND" // on a revision's tags only
	CodeInternal              Code = "INTERNAL"
)

// Codes of stops that say nothing about the revision; they are never a failure's.
const (
	CodeScaledIn      Code = "SCALED_IN"
	CodeRescheduled   Code = "RESCHEDULED" // the scheduler's own reasons: AZ rebalancing
	CodeSpot          Code = "SPOT_INTERRUPTION"
	CodeHostRetired   Code = "HOST_RETIRED"
	CodeStoppedByUser Code = "STOPPED_BY_USER"
	CodeWorkDone      Code = "WORK_DONE"
)

// Codes of live checks.
const (
	CodeCheckFailed      Code = "CHECK_FAILED" // another answer than the check wants, or one that cannot be read
	CodeCheckUnreachable Code = "CHECK_UNREACHABLE"
	CodeCheckDNS         Code = "CHECK_DNS"
	CodeCheckTLS         Code = "CHECK_TLS"
	CodeCheckTimeout     Code = "CHECK_TIMEOUT"
)

// Failure is why a run did not do what was asked, with what a reader needs to
// act. It is an error; its JSON form is the result's "failure".
type Failure struct {
	Code      Code     `json:"code"`
	Stage     string   `json:"stage,omitempty"`
	Message   string   `json:"message"`        // one line, lower case, operation plus object
	File      string   `json:"file,omitempty"` // the user's file that it is about
	Line      int      `json:"line,omitempty"` // in that file
	Container string   `json:"container,omitempty"`
	ExitCode  *int     `json:"exitCode,omitempty"`
	Reason    string   `json:"reason,omitempty"` // AWS's own words
	Tasks     int      `json:"tasks,omitempty"`  // how many tasks failed alike
	Evidence  []string `json:"evidence"`
	Logs      []string `json:"logs"`
	Hints     []string `json:"hints"`
	Next      []string `json:"next"` // commands to type
	// Also are further findings of the same look: a check reports all it found.
	Also []*Failure `json:"also,omitempty"`

	Cause error `json:"-"`
}

// Fail makes a failure with a one-line message.
func Fail(code Code, message string) *Failure { return &Failure{Code: code, Message: message} }

// Because records the cause and returns f.
func (f *Failure) Because(err error) *Failure { f.Cause = err; return f }

// Hint adds one-line mends and returns f.
func (f *Failure) Hint(hints ...string) *Failure { f.Hints = append(f.Hints, hints...); return f }

// Try adds commands to type next and returns f.
func (f *Failure) Try(commands ...string) *Failure { f.Next = append(f.Next, commands...); return f }

// See adds evidence and returns f.
func (f *Failure) See(evidence ...string) *Failure {
	f.Evidence = append(f.Evidence, evidence...)
	return f
}

// Error is the message, with the cause's text where the message does not
// already end with it.
func (f *Failure) Error() string {
	if f.Cause == nil {
		return f.Message
	}
	if cause := Plain(f.Cause); !strings.Contains(f.Message, cause) {
		return f.Message + ": " + cause
	}
	return f.Message
}

// Trace adds AWS's request id to the evidence, where the cause has one.
func (f *Failure) Trace() {
	if f.Cause == nil {
		return
	}
	if id := requestID(f.Cause); id != "" {
		if line := "AWS's request id: " + id; !slices.Contains(f.Evidence, line) {
			f.See(line)
		}
	}
}

// Unwrap gives the cause to errors.Is and errors.As.
func (f *Failure) Unwrap() error { return f.Cause }

// FailuresOf collects every Failure in err, through wrapping and errors.Join,
// in order. An err that holds none gives one with CodeInternal.
func FailuresOf(err error) []*Failure {
	if err == nil {
		return nil
	}
	if fs := collect(err); len(fs) > 0 {
		return fs
	}
	return []*Failure{Fail(CodeInternal, Plain(err)).Because(err)}
}

func collect(err error) []*Failure {
	var f *Failure
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var fs []*Failure
		for _, e := range joined.Unwrap() {
			fs = append(fs, FailuresOf(e)...)
		}
		return fs
	}
	if errors.As(err, &f) {
		return []*Failure{f}
	}
	return nil
}
