// Package background keeps account of sandboxes that run without a terminal:
// where they listen, and whether they live. [Home] is the place to start.
//
// Each has a folder of its name in the Home, which is the user's alone:
//
//	lock         held by the sandbox's process while it lives
//	record.json  its process id, address and environment; whole or not there
//	answer, log  what it has printed
//
// The system drops a lock with its process. So the lock says whether a sandbox
// lives, never the process id of the record, which may be another program's by
// now. A record whose lock is free is a sandbox that was killed.
//
// What else a killed one left, in the engine and on the disk, is not known here; see
// package dockerruntime.
package background

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/gofrs/flock"
)

// Names of files in a sandbox's folder.
const (
	lockFile   = "lock"
	recordFile = "record.json"
	answerFile = "answer"
	logFile    = "log"
)

// tick is how often something that another process does is looked at.
const tick = 20 * time.Millisecond

// Home is the folder of all sandboxes in the background of a user.
type Home string

// DefaultHome is in the user's cache folder. The runtime folder (XDG_RUNTIME_DIR)
// would be emptied when the user logs out, and a sandbox lives on then.
func DefaultHome() (Home, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for sandboxes in the background: %w", err)
	}
	return Home(filepath.Join(cache, "weelo-deploy", "background")), nil
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// ValidName says whether a sandbox may be called so: it becomes a folder.
func ValidName(name string) bool { return nameForm.MatchString(name) }

func (h Home) folder(name string) string     { return filepath.Join(string(h), name) }
func (h Home) file(name, file string) string { return filepath.Join(h.folder(name), file) }

// Reserve waits until no other process starts or removes sandboxes, and keeps
// others from it until release is called.
func (h Home) Reserve(ctx context.Context) (release func(), err error) {
	if err := os.MkdirAll(string(h), 0o700); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(string(h), ".lock"))
	if _, err := l.TryLockContext(ctx, tick); err != nil {
		return nil, fmt.Errorf("lock %s: %w", l.Path(), err)
	}
	return func() { _ = l.Close() }, nil // dropped with the process at the latest
}

// Record is what a sandbox says of itself.
type Record struct {
	Name    string    `json:"name"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Account string    `json:"account"`
	Region  string    `json:"region"`
	Speed   float64   `json:"speed"`
	URL     string    `json:"url,omitempty"` // empty until it answers
	Env     []string  `json:"env,omitempty"`
	Folder  string    `json:"folder,omitempty"` // of its state, which outlives it
	Open    string    `json:"open,omitempty"`   // the address at which other machines reach it
	Notes   []string  `json:"notes,omitempty"`  // what is not as its flags let one expect
}

// State is what has become of a sandbox.
type State string

// States.
const (
	Absent   State = ""         // there is none, or it has ended and cleaned up
	Starting State = "starting" // its process lives, and does not answer yet
	Running  State = "running"
	Dead     State = "dead" // it was killed, and what it made is still there
)

// Sandbox is one as it is found.
type Sandbox struct {
	Record
	State State
	Log   string // path of what it says
}

// Lives reports whether the sandbox has a process.
func (s Sandbox) Lives() bool { return s.State == Starting || s.State == Running }

// Look finds out about one sandbox. It changes nothing.
func (h Home) Look(name string) (Sandbox, error) {
	s := Sandbox{Record: Record{Name: name}, Log: h.file(name, logFile)}
	lives, err := h.lives(name)
	if err != nil {
		return s, err
	}
	raw, err := os.ReadFile(h.file(name, recordFile))
	recorded := !errors.Is(err, fs.ErrNotExist)
	if recorded && err == nil {
		err = json.Unmarshal(raw, &s.Record)
		s.Name = name
	}
	switch {
	case lives && !recorded:
		s.State = Starting
	case lives && err != nil:
		return s, fmt.Errorf("read the record of the sandbox %s: %w", name, err)
	case lives && s.URL == "":
		s.State = Starting
	case lives:
		s.State = Running
	case recorded: // also one that cannot be read: it tells of a death all the same
		s.State = Dead
	}
	return s, nil
}

// lives reports whether a process holds the sandbox's lock.
func (h Home) lives(name string) (bool, error) {
	l := flock.New(h.file(name, lockFile), flock.SetFlag(os.O_RDWR))
	free, err := l.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether the sandbox %s lives: %w", name, err)
	}
	return !free, l.Close()
}

// List looks at all sandboxes that are there, by name.
func (h Home) List() ([]Sandbox, error) {
	entries, err := os.ReadDir(string(h))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Sandbox
	for _, e := range entries {
		if !e.IsDir() || !ValidName(e.Name()) {
			continue
		}
		s, err := h.Look(e.Name())
		if err != nil {
			return nil, err
		}
		if s.State != Absent {
			all = append(all, s)
		}
	}
	return all, nil
}

// Remove removes the files of a sandbox that does not live. The caller has
// reserved the Home.
func (h Home) Remove(name string) error { return os.RemoveAll(h.folder(name)) }
