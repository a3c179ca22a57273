package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/objects"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
	"github.com/weelo/weelo-deploy/internal/sandbox/statedir"
)

// Stateful is a store whose state lives through a restart. Save is the state as it
// is now, and may be called while the store works. Load takes what Save gave, once,
// before the store is used; its error says why it cannot. What ran when the state
// was saved does not run any more.
//
// Package snapshot makes both of a structure. A new store is named in
// [Server.stateful], and that is all.
type Stateful interface {
	Save() (json.RawMessage, error)
	Load(json.RawMessage) error
}

// stateful are the stores that are kept, by the names that they have in the folder.
func (s *Server) stateful() map[string]Stateful {
	return map[string]Stateful{"ecs": s.cluster, "logs": s.logs, "codebuild": s.builds, "s3": s.objects, "secrets": s.secrets, "cloudwatch": s.alarms, "hooks": s.hooks, "elasticloadbalancing": s.balancer}
}

// Reasons why a state cannot be used, besides damage; see package statedir.
var (
	ErrStateInUse   = statedir.ErrLocked
	ErrStateForeign = statedir.ErrForeign
	ErrStateVersion = statedir.ErrVersion
	ErrStateDamaged = statedir.ErrDamaged
	ErrStateFolder  = statedir.ErrFolder
	ErrStateOwner   = errors.New("the state is another account's or region's")
)

// Pauses between two writes of a state: long enough that writing takes a small part
// of the time.
const (
	savePause    = 250 * time.Millisecond
	saveShare    = 20 // times the last write
	longestPause = 10 * time.Second
)

// keeper writes the state a moment after something has changed. A nil one keeps
// nothing.
type keeper struct {
	dir     *statedir.Dir
	resumed bool // there was a state
	owner   statedir.Owner
	parts   map[string]Stateful
	now     func() time.Time
	warn    func(error)

	changed chan struct{} // capacity 1: something has
	stop    chan struct{}
	stopped chan struct{} // nil until begin
}

// openState takes the folder of a state and lets the configuration follow from what
// is in it.
func openState(cfg *Config) (*keeper, error) {
	if cfg.State == "" {
		return nil, nil
	}
	dir, err := statedir.Open(cfg.State)
	if err != nil {
		return nil, err
	}
	k := &keeper{dir: dir, resumed: !dir.Empty(), owner: dir.Owner(), changed: make(chan struct{}, 1), stop: make(chan struct{})}
	cfg.Dir = dir.Path("registry")
	if !k.resumed {
		return k, nil
	}
	if cfg.Account != "" && cfg.Account != k.owner.Account || cfg.Region != "" && cfg.Region != k.owner.Region {
		err := fmt.Errorf("open the state in %s: %w: it is of account %s in %s", dir.Path(), ErrStateOwner, k.owner.Account, k.owner.Region)
		return nil, errors.Join(err, dir.Close())
	}
	cfg.Account, cfg.Region, cfg.Seed = k.owner.Account, k.owner.Region, nil
	cfg.BreakerIgnoresCrashes = k.owner.BreakerIgnoresCrashes
	return k, nil
}

// listenAt listens where the state was served last, if that is wanted and free:
// what is kept names the registry by its address.
func (k *keeper) listenAt(cfg Config) (net.Listener, error) {
	if cfg.KeepAddress && k != nil && len(k.owner.Addresses) > 0 {
		l, err := listen(here(k.owner.Addresses[len(k.owner.Addresses)-1]), false)
		if !errors.Is(err, ErrPortTaken) {
			return l, err
		}
		return listen("127.0.0.1:0", false)
	}
	return listen(cfg.Listen, cfg.UnsafeListen)
}

// here is an address of the registry on this machine's loopback, whatever the engine
// called it, and wherever else it listened.
func here(registry string) string {
	host, port, err := net.SplitHostPort(registry)
	if ip, _ := netip.ParseAddr(host); err != nil || ip.IsLoopback() {
		return registry
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// objects is the folder of S3's objects: with the state, or with the registry, which
// whoever made its folder removes.
func (k *keeper) objects(cfg Config) string {
	switch {
	case k != nil:
		return k.dir.Path("objects")
	case cfg.Dir != "":
		return filepath.Join(cfg.Dir, "objects")
	}
	return ""
}

// HasState says whether a folder has a state that a sandbox would go on from.
func HasState(dir string) bool { return statedir.Has(dir) }

// openRegistry opens the registry: with a state, one whose images outlive the
// machine's power.
func (k *keeper) openRegistry(s *Server) (*registry.Store, error) {
	cfg := s.cfg
	options := []registry.Option{registry.WithClock(cfg.Now), registry.WithSpeed(cfg.Speed), registry.WithGate(s.gate)}
	if k != nil {
		options = append(options, registry.Durable())
	}
	store, err := registry.Open(cfg.Dir, cfg.Account, cfg.Region, options...)
	if err != nil && k != nil {
		err = fmt.Errorf("%w: %w", ErrStateDamaged, err)
	}
	return store, err
}

// mostAddresses bounds the addresses that a state remembers.
const mostAddresses = 100

// load gives the stores what was kept, and says that the state is served at an
// address from now on.
func (k *keeper) load(s *Server) error {
	if k == nil {
		return nil
	}
	k.parts, k.now = s.stateful(), s.cfg.Now
	k.warn = func(err error) { s.cfg.Logger.Error("the state was not written", "error", err) }
	for _, name := range k.dir.Parts() {
		store, known := k.parts[name]
		if !known {
			return fmt.Errorf("read the state in %s: %w: this program keeps no %s", k.dir.Path(), ErrStateVersion, name)
		}
		raw, err := k.dir.Part(name)
		if err == nil {
			err = store.Load(raw)
		}
		if err != nil {
			reason := ErrStateVersion // the part is what was written
			if errors.Is(err, objects.ErrDamaged) {
				reason = ErrStateDamaged
			}
			return fmt.Errorf("read %s: %w: %w", k.dir.File(name), reason, err)
		}
	}
	at := slices.DeleteFunc(slices.Clone(k.owner.Addresses), func(a string) bool { return a == s.Registry() })
	at = append(at, s.Registry())
	k.owner = statedir.Owner{
		Account: s.cfg.Account, Region: s.cfg.Region, BreakerIgnoresCrashes: s.cfg.BreakerIgnoresCrashes,
		Addresses: at[max(len(at)-mostAddresses, 0):],
	}
	return nil
}

// served are the addresses at which what is here has been served.
func (k *keeper) served() []string {
	if k == nil {
		return nil
	}
	return k.owner.Addresses
}

// begin writes the state, and from now on whenever it changes.
func (k *keeper) begin() error {
	if k == nil {
		return nil
	}
	if err := k.save(); err != nil {
		return err
	}
	k.stopped = make(chan struct{})
	go k.run()
	return nil
}

// touch tells that something may have changed.
func (k *keeper) touch() {
	if k == nil {
		return
	}
	select {
	case k.changed <- struct{}{}:
	default: // it is known already
	}
}

func (k *keeper) run() {
	defer close(k.stopped)
	pause, said := savePause, ""
	for {
		select {
		case <-k.changed:
		case <-k.stop:
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-k.stop:
			timer.Stop()
			return
		}
		began := time.Now()
		switch err := k.save(); {
		case err == nil:
			said = ""
		case err.Error() != said: // once, however often it is tried again
			said = err.Error()
			k.warn(err)
		}
		pause = min(max(savePause, saveShare*time.Since(began)), longestPause)
	}
}

// save writes the state. A store that cannot be saved stays as it was last, and does
// not keep the others from being written.
func (k *keeper) save() error {
	parts := make(map[string]json.RawMessage, len(k.parts))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(k.parts)) {
		raw, err := k.parts[name].Save()
		if err != nil {
			errs = append(errs, fmt.Errorf("save the state of %s: %w", name, err))
			if raw, err = k.dir.Part(name); err != nil || raw == nil {
				errs = append(errs, err)
				continue
			}
		}
		parts[name] = raw
	}
	return errors.Join(append(errs, k.dir.Write(k.owner, parts, k.now()))...)
}

// end writes the state for the last time, while the tasks still run. A state that
// was not begun stays as it was.
func (k *keeper) end() error {
	if k == nil || k.stopped == nil {
		return nil
	}
	close(k.stop)
	<-k.stopped
	return k.save()
}

// close gives the folder back.
func (k *keeper) close() error {
	if k == nil {
		return nil
	}
	return k.dir.Close()
}
