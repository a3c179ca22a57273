// Package config reads weelo-deploy.yaml, WEELO_DEPLOY_* variables and flags
// into one Config, and refuses whatever it does not understand.
//
// Load does all of it: it finds the file, lays the chosen environment, the
// variables and the flags over it, expands ${VAR}, decodes, checks and fills in
// defaults. Loading is strict: an unknown key, a wrong type, a bad value are
// errors, all of them reported at once, each with file, line and column, the
// source line and the nearest known key. It does no network I/O and looks at no
// other file than its own.
//
// The keys are the fields of Settings; docs/configuration.md describes them.
package config

import (
	"time"
)

// FileName is the name of the configuration file.
const FileName = "weelo-deploy.yaml"

// Config is what a run is told: settings from every source, defaults filled in.
type Config struct {
	Settings

	// File is the absolute path of the file that was read; empty when there is
	// none.
	File string
	// Dir is the folder that relative paths of the file start from, and where
	// build.before runs: the file's own, or the working directory without one.
	Dir string
	// Env is the name of the chosen environment; empty when none was.
	Env string

	// LeftOut are the parts that a lenient Load did not read because of Mistakes.
	LeftOut  []string
	Mistakes error

	origins map[string]Origin
	keys    map[string]Origin
	secrets []string
}

// Document is the form of the file: settings, and named environments that are
// laid over them.
type Document struct {
	Settings     `yaml:",inline"`
	Environments map[string]Settings `yaml:"environments"`
}

// Settings are the keys of the file. A zero value means that nobody set it; in a
// Config the defaults are filled in. Where a comment says "number too", a YAML
// number is taken as it is written, otherwise text must be text.
type Settings struct {
	Region  string `yaml:"region"`                // AWS region; empty: from the AWS environment
	Cluster string `yaml:"cluster"`               // ECS cluster, name or ARN
	Service string `yaml:"service"`               // ECS service, name or ARN
	Account string `yaml:"account" also:"number"` // 12 digits; refuse any other account. Number too.

	Image   Image    `yaml:"image"`
	Build   Build    `yaml:"build"`
	Verify  Verify   `yaml:"verify"`
	Task    Task     `yaml:"task"`
	Release Release  `yaml:"release"`
	Checks  Checks   `yaml:"checks"`
	Notify  []Notice `yaml:"notify"`
}

// Image says where the image goes.
type Image struct {
	Repository string   `yaml:"repository"` // a name in the account's ECR, or a full URI without tag
	Tags       []string `yaml:"tags"`       // templates; default {{.GitSHA}}
}

// Build says how the image is made. In a Config all paths are absolute.
type Build struct {
	Before         []string          `yaml:"before"`     // run by sh -c in Config.Dir; ${VAR} is left to the shell
	Context        string            `yaml:"context"`    // default "."
	Dockerfile     string            `yaml:"dockerfile"` // default Dockerfile in the context
	Platform       string            `yaml:"platform"`   // default linux/amd64
	Target         string            `yaml:"target"`     // stage of the Dockerfile; empty: the last
	Args           map[string]string `yaml:"args"`
	Labels         map[string]string `yaml:"labels"`
	Secrets        []BuildSecret     `yaml:"secrets"`
	SSH            []string          `yaml:"ssh"`            // "default" or ID=PATH of a socket or key
	Contexts       map[string]string `yaml:"contexts"`       // further contexts: a path, or docker-image://REFERENCE
	CacheFrom      []string          `yaml:"cacheFrom"`      // images that hold build cache
	CacheTo        []string          `yaml:"cacheTo"`        // inline
	On             string            `yaml:"on"`             // docker, a context's name, a URL, codebuild:PROJECT
	AllowEmulation bool              `yaml:"allowEmulation"` // go on when a RUN step is emulated
}

// BuildSecret is handed to RUN --mount=type=secret. Exactly one of File and Env
// is set.
type BuildSecret struct {
	ID   string `yaml:"id"`
	File string `yaml:"file"`
	Env  string `yaml:"env"`
}

// Verify says how the image is looked at before it is pushed.
type Verify struct {
	Trial Trial   `yaml:"trial"`
	Allow []Allow `yaml:"allow"` // files whose findings are accepted
}

// Allow accepts what is found of files. A text alone is a Path.
type Allow struct {
	Path   string `yaml:"path" also:"alone"` // glob
	Reason string `yaml:"reason"`            // why, for whoever reads the report
}

// Trial is the container that is started once before the push.
type Trial struct {
	Seconds int               `yaml:"seconds"` // 1 to 600
	Env     map[string]string `yaml:"env"`
}

// Task says what changes in the task definition.
type Task struct {
	Container   string            `yaml:"container"` // default: the only essential one
	Environment map[string]string `yaml:"environment"`
	Secrets     map[string]string `yaml:"secrets"` // name → ARN or parameter name
	Base        string            `yaml:"base"`    // current or latest; empty: chosen by preflight
}

// Release says how the new revision is brought in, and when to go back.
type Release struct {
	Before       []BeforeTask  `yaml:"before"`
	Timeout      time.Duration `yaml:"timeout"`                // without progress; default 10m
	Bake         time.Duration `yaml:"bake"`                   // default 30s
	Tolerate     string        `yaml:"tolerate" also:"number"` // failed tasks: "N" or "P%"; default 0. Number too.
	Rollback     string        `yaml:"rollback"`               // on-failure (default) or never
	Backstop     string        `yaml:"backstop"`               // enforce (default) or keep
	RequireClean bool          `yaml:"requireClean"`           // refuse a tree with uncommitted changes
}

// BeforeTask is a one-off task on the new revision, before the service changes.
type BeforeTask struct {
	Name        string            `yaml:"name"`      // default: the command
	Container   string            `yaml:"container"` // default: task.container
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"` // besides the definition's
	Timeout     time.Duration     `yaml:"timeout"`     // default 1h
	OnInterrupt string            `yaml:"onInterrupt"` // leave (default) or stop
}

// Checks are made on the live service after the deployment.
type Checks struct {
	HTTP []HTTPCheck `yaml:"http"`
	Logs []LogCheck  `yaml:"logs"`
}

// HTTPCheck is a request and what it must answer. GET and HEAD also run before the
// release, on what serves then.
type HTTPCheck struct {
	Name        string            `yaml:"name"`
	Method      string            `yaml:"method"` // default GET
	URL         string            `yaml:"url"`
	Headers     map[string]string `yaml:"headers"`     // secrets
	HeaderFiles map[string]string `yaml:"headerFiles"` // name → file that holds the value
	Body        string            `yaml:"body"`
	BodyFile    string            `yaml:"bodyFile"`
	Writes      bool              `yaml:"writes"` // it may change what the service keeps
	Expect      Expect            `yaml:"expect"`
	Timeout     time.Duration     `yaml:"timeout"` // of a request; default 10s
	Retries     int               `yaml:"retries"` // default 2 for GET and HEAD
	Pause       time.Duration     `yaml:"pause"`   // before each retry; default 2s

	Repeat   int               `yaml:"repeat"` // the same request so often
	Same     string            `yaml:"same"`   // body: all answers alike
	Parallel int               `yaml:"parallel"`
	Statuses map[string]string `yaml:"statuses"` // status → how often, of the parallel ones

	ExpectFailingBefore bool `yaml:"expectFailingBefore"`
}

// Expect is the answer that an HTTPCheck wants.
type Expect struct {
	Status   []int             `yaml:"status" also:"single"` // one or a list; empty: 200 to 299
	JSON     map[string]string `yaml:"json"`                 // dotted path → value
	Contains string            `yaml:"contains"`
	Matches  string            `yaml:"matches"` // regular expression
	Headers  map[string]string `yaml:"headers"`
	Within   time.Duration     `yaml:"within"`
}

// LogCheck is a text that the new tasks must log, or must not. Exactly one of
// Contains, Matches and Absent is set.
type LogCheck struct {
	Name     string        `yaml:"name"`
	Contains string        `yaml:"contains"`
	Matches  string        `yaml:"matches"`
	Absent   string        `yaml:"absent"`
	Within   time.Duration `yaml:"within"` // default 60s, with absent 10s
}

// Notice is a webhook that is told how a release ended.
type Notice struct {
	URL    string   `yaml:"url"`    // https, or http on loopback; a secret
	Format string   `yaml:"format"` // json or slack; empty: by the URL's host
	On     []string `yaml:"on"`     // released, rolled_back, failed, refused; empty: the first three
}
