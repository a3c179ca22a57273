package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// Defaults of [Config].
const (
	DefaultListen  = "127.0.0.1:8477"
	DefaultAccount = "000000000000"
	DefaultRegion  = "us-east-1"
	DefaultSpeed   = 20
)

// Config is what a [Server] is made of. Runtime is needed.
type Config struct {
	Listen  string  // host:port on loopback; port 0 is any free one
	Account string  // 12 digits
	Region  string  // as in ARNs
	Speed   float64 // divides AWS's waiting times, not those of real processes

	// UnsafeListen lets Listen be an address that others reach. Nothing here asks
	// who they are: they can start containers on this machine, and where the seed
	// has projects run commands as its user.
	UnsafeListen bool

	// EngineHost is the name under which the runtime's engine reaches this machine,
	// when that is not 127.0.0.1: the registry is called so, since it is the engine
	// that pushes and pulls.
	EngineHost string

	// Dir is where the registry is; empty: a temporary one, removed by Close.
	Dir string

	// State is a folder that keeps everything but faults and the log of calls over
	// restarts; the registry is in it, wherever Dir is. Account and Region are the
	// state's when they are empty, and the seed is for an empty state only.
	State string

	// KeepAddress lets a state that was served before be served there again rather
	// than at Listen; at a free port when another program has it.
	KeepAddress bool

	// Runtime runs the tasks. The server closes it, also when Start fails.
	Runtime task.Runtime

	// Seed is the past to begin with, nil for none.
	Seed *seed.Seed

	// Faults are rules to begin with, beside the seed's.
	Faults []seed.JSON

	// PushImage pushes an image of the local engine to the sandbox's registry.
	// It is needed when the seed has images "from" the engine.
	PushImage func(ctx context.Context, p ImagePush) error

	// Isolated and BreakerIgnoresCrashes are the cluster's; see
	// [cluster.Config]. The seed's breakerCountsCrashes goes first.
	Isolated              bool
	BreakerIgnoresCrashes bool

	// Throttle refuses calls that come faster than AWS takes them; see package
	// throttle. The seed may ask for it too.
	Throttle bool

	Now    func() time.Time // clock of all timestamps; nil is time.Now
	Logger *slog.Logger     // of what goes wrong inside; nil: nowhere
}

// ImagePush is an image of the local engine and where it goes.
type ImagePush struct {
	From               string // reference in the engine
	To                 string // 127.0.0.1:PORT/repository:tag
	Username, Password string // of the sandbox's registry
}

func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Account == "" {
		c.Account = DefaultAccount
	}
	if c.Region == "" {
		c.Region = DefaultRegion
	}
	if c.Speed == 0 {
		c.Speed = DefaultSpeed
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Seed == nil {
		c.Seed = new(seed.Seed)
	}
	c.Throttle = c.Throttle || c.Seed.Throttle
	if counts := c.Seed.BreakerCountsCrashes; counts != nil {
		c.BreakerIgnoresCrashes = !*counts
	}
	return c
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	regionForm  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)
)

// ConfigError is a value of [Config] that none can have.
type ConfigError struct{ Setting, Message string }

func (e *ConfigError) Error() string { return e.Message }

func (c Config) check() error {
	switch {
	case !accountForm.MatchString(c.Account):
		return &ConfigError{"account", fmt.Sprintf("account %q is not 12 digits", c.Account)}
	case !regionForm.MatchString(c.Region):
		return &ConfigError{"region", fmt.Sprintf("%q is no name of a region", c.Region)}
	case !(c.Speed > 0):
		return &ConfigError{"speed", fmt.Sprintf("speed must be above 0, not %v", c.Speed)}
	}
	return nil
}
