package background

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"

	"github.com/weelo/weelo-deploy/internal/sandbox/durable"
)

// takeTime is how long a sandbox tries to get its lock: somebody who looks
// whether it lives holds it for a moment.
const takeTime = 5 * time.Second

// Place is a sandbox's folder in the hands of its own process.
type Place struct {
	home Home
	name string
	lock *flock.Flock
}

// Take says that this process is the sandbox of the name, until it leaves or
// dies.
func (h Home) Take(ctx context.Context, name string) (*Place, error) {
	if err := os.MkdirAll(h.folder(name), 0o700); err != nil {
		return nil, err
	}
	l := flock.New(h.file(name, lockFile), flock.SetPermissions(0o600), flock.SetFlag(os.O_CREATE|os.O_RDWR))
	try, cancel := context.WithTimeout(ctx, takeTime)
	defer cancel()
	if _, err := l.TryLockContext(try, tick); err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("another process is the sandbox %s", name)
		}
		return nil, fmt.Errorf("lock %s: %w", l.Path(), err)
	}
	p := &Place{home: h, name: name, lock: l}
	if err := p.forget(); err != nil { // an earlier sandbox's
		return nil, errors.Join(err, l.Close())
	}
	return p, nil
}

// forget removes the record.
func (p *Place) forget() error {
	if err := os.Remove(p.home.file(p.name, recordFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Write replaces the record.
func (p *Place) Write(r Record) error {
	r.Name = p.name
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(p.home.file(p.name, recordFile), append(raw, '\n'))
}

// Leave gives the lock back. The record stays unless the sandbox has cleaned up:
// it says that something is left that has to be removed.
func (p *Place) Leave(clean bool) error {
	var err error
	if clean {
		err = p.forget()
	}
	return errors.Join(err, p.lock.Close())
}
