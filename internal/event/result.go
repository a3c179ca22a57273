package event

// Outcome is how a run ended, in one word.
type Outcome string

// The outcomes, a closed list (design.md §5).
const (
	Released     Outcome = "released"
	Unchanged    Outcome = "unchanged"
	Planned      Outcome = "planned"
	RolledBack   Outcome = "rolled_back"
	Refused      Outcome = "refused"
	Stopped      Outcome = "stopped" // a before-task ran, the service was not changed
	FailedRun    Outcome = "failed"
	Superseded   Outcome = "superseded"
	InterruptedO Outcome = "interrupted"
	Watched      Outcome = "watched"  // watch: nothing in progress, or it ended well
	Verified     Outcome = "verified" // verify, build
)

// Exit codes, documented in `help exit-codes` and stable for ever.
const (
	ExitOK          = 0
	ExitInternal    = 1
	ExitUsage       = 2
	ExitRolledBack  = 3
	ExitRefused     = 4
	ExitUnhealthy   = 5
	ExitSuperseded  = 6
	ExitStopped     = 7
	ExitPlanChanges = 8
	ExitInterrupt   = 130
	ExitTerminate   = 143
)

// Result is the last event of every run.
type Result struct {
	Outcome        Outcome        `json:"outcome"`
	ExitCode       int            `json:"exitCode"`
	Command        string         `json:"command"`
	Cluster        string         `json:"cluster,omitempty"`
	Service        string         `json:"service,omitempty"`
	Image          string         `json:"image,omitempty"` // repository@sha256:…
	Verified       *VerifiedImage `json:"verified,omitempty"`
	Binaries       *Binaries      `json:"binaries,omitempty"` // what a look inside the image found
	Emulated       []string       `json:"emulated,omitempty"` // RUN steps that ran under emulation
	TaskDefinition string         `json:"taskDefinition,omitempty"`
	Deployment     string         `json:"deployment,omitempty"`
	Stable         string         `json:"stable,omitempty"`  // the rollback target's ARN
	Serving        string         `json:"serving,omitempty"` // the ARN that serves now, as far as known
	ServingNow     string         `json:"servingNow,omitempty"`
	Rehearsal      bool           `json:"rehearsal,omitempty"` // it was a sandbox, not production
	Failure        *Failure       `json:"failure,omitempty"`
	Stages         []StageOutcome `json:"stages"`
	Timings        Timings        `json:"timings"`
	Next           []string       `json:"next,omitempty"` // commands to type
}

// VerifiedImage is the image that the command verify judged.
type VerifiedImage struct {
	Form     string `json:"form"` // where it was: "local engine", "registry", "OCI layout", "OCI archive", "docker archive"
	Platform string `json:"platform"`
	// Digest is that of the manifest that would be deployed. An image in an engine
	// and one in an older archive have none.
	Digest string `json:"digest,omitempty"`
	Index  string `json:"index,omitempty"` // digest of the index that it was chosen from
	Config string `json:"config"`          // digest of its config
}

// StageOutcome is one stage in the result.
type StageOutcome struct {
	Name    string  `json:"name"`
	Status  Status  `json:"status"`
	Reason  string  `json:"reason,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Timings are measured durations, in seconds.
type Timings struct {
	TotalSeconds float64 `json:"totalSeconds"`
	// DetectSeconds is from the first API answer that showed the fatal stop to
	// the rollback call.
	DetectSeconds float64 `json:"detectSeconds,omitempty"`
	// APICalls is the number of AWS API calls that the run made.
	APICalls int `json:"apiCalls,omitempty"`
}
