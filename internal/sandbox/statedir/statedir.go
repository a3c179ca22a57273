// Package statedir keeps the state of a sandbox in a folder, over restarts and
// kills. [Open] is the place to start. What is in the folder:
//
//	lock            held by the sandbox's process while it lives
//	state.json      the format's version, whose state it is, and the files below with their sums
//	parts/NAME-SUM  the state of one store
//	registry/, …    what stores keep there by themselves
//
// A part is written under a new name, and state.json replaced by a rename when all
// of them are there: at every moment the folder holds one whole state, the last
// one or the one before. Everything is flushed to the disk before it counts.
//
// A folder that has other things in it is refused, and so are one that another
// sandbox has, a state of another version, and one that is damaged. Refusing
// changes nothing in it.
package statedir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/weelo/weelo-deploy/internal/sandbox/durable"
)

// version is that of the format. A change that an older state cannot be read with
// takes the next number.
const version = 1

const (
	lockFile  = "lock"
	stateFile = "state.json"
	partsDir  = "parts"
)

// Reasons why a folder cannot be used.
var (
	ErrLocked  = errors.New("another sandbox has this state")
	ErrForeign = errors.New("the folder is not empty, and what is in it is no sandbox's state")
	ErrVersion = errors.New("the state is of another version")
	ErrDamaged = errors.New("the state is damaged")
	ErrFolder  = errors.New("no folder to write in")
)

// Owner is whose state it is, and where it was served.
type Owner struct {
	Account string `json:"account"`
	Region  string `json:"region"`

	// Addresses are where the sandbox has listened, the last one last: what is
	// kept refers to its registry by them.
	Addresses []string `json:"addresses"`

	// BreakerIgnoresCrashes is a choice of the seed that the state began with.
	BreakerIgnoresCrashes bool `json:"breakerIgnoresCrashes,omitempty"`
}

// manifest is state.json.
type manifest struct {
	Version int               `json:"version"`
	SavedAt time.Time         `json:"savedAt"`
	Owner   Owner             `json:"owner"`
	Parts   map[string]string `json:"parts"` // name → SHA-256 of its file
}

// Dir is a folder in the hands of this process. Its methods are not to be called
// concurrently.
type Dir struct {
	path string
	lock *flock.Flock
	last manifest
}

// Open takes a folder, which it makes when it is not there, and checks what is in
// it. The errors are those above, or of the file system.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	err = foreign(path)
	if err == nil {
		err = unusable(os.MkdirAll(path, 0o700))
	}
	if err != nil {
		return nil, fmt.Errorf("open the state in %s: %w", path, err)
	}
	d := &Dir{path: path, lock: flock.New(filepath.Join(path, lockFile), flock.SetPermissions(0o600))}
	locked, err := d.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", d.lock.Path(), unusable(err))
	}
	if !locked {
		return nil, fmt.Errorf("open the state in %s: %w", path, ErrLocked)
	}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	return d, nil
}

// Has says whether a folder has a state in it that is not empty. It takes nothing.
func Has(path string) bool {
	raw, err := os.ReadFile(filepath.Join(path, stateFile))
	var m manifest
	return err == nil && json.Unmarshal(raw, &m) == nil && len(m.Parts) > 0
}

// unusable says of an error of the file system that the folder is what is wrong.
func unusable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrFolder, err)
}

// foreign refuses a folder in which something is, but no state.
func foreign(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unusable(err)
	}
	for _, e := range entries {
		if e.Name() == stateFile {
			return nil
		}
	}
	for _, e := range entries {
		if e.Name() != lockFile && !strings.HasPrefix(e.Name(), durable.Temporary) {
			return ErrForeign
		}
	}
	return nil
}

// load reads state.json, or writes the first one.
func (d *Dir) load() error {
	name := filepath.Join(d.path, stateFile)
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		d.last = manifest{Version: version}
		return d.write(d.last)
	}
	if err != nil {
		return err
	}
	var v struct{ Version int }
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("read %s: %w: %w", name, ErrDamaged, err)
	}
	if v.Version != version {
		return fmt.Errorf("read %s: %w: it is %d, and this program knows %d", name, ErrVersion, v.Version, version)
	}
	strict := json.NewDecoder(bytes.NewReader(raw)) // another program may have a state.json too
	strict.DisallowUnknownFields()
	if err := strict.Decode(&d.last); err != nil {
		return fmt.Errorf("read %s: %w: %w", name, ErrDamaged, err)
	}
	for part := range d.last.Parts {
		if _, err := d.Part(part); err != nil {
			return err
		}
	}
	return d.sweep()
}

// Path is the folder's, of a file in it when one is named.
func (d *Dir) Path(file ...string) string { return filepath.Join(append([]string{d.path}, file...)...) }

// Empty says that nothing has been kept here yet.
func (d *Dir) Empty() bool { return len(d.last.Parts) == 0 }

// Owner is whose the state was when it was written last; the zero Owner of an
// empty one.
func (d *Dir) Owner() Owner { return d.last.Owner }

// SavedAt is when the state was written last.
func (d *Dir) SavedAt() time.Time { return d.last.SavedAt }

// Parts are the names of what is kept, sorted.
func (d *Dir) Parts() []string { return slices.Sorted(maps.Keys(d.last.Parts)) }

// File is the path of a part that is there.
func (d *Dir) File(name string) string { return d.part(name, d.last.Parts[name]) }

// Part is the state of one store, nil when it has none here.
func (d *Dir) Part(name string) (json.RawMessage, error) {
	sum, ok := d.last.Parts[name]
	if !ok {
		return nil, nil
	}
	path := d.part(name, sum)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the state: %w: %w", ErrDamaged, err)
	}
	if sumOf(raw) != sum {
		return nil, fmt.Errorf("read %s: %w: it is not what was written", path, ErrDamaged)
	}
	return raw, nil
}

func (d *Dir) part(name, sum string) string {
	return filepath.Join(d.path, partsDir, name+"-"+sum[:min(len(sum), 16)])
}

func sumOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Write makes parts the state. It does nothing when they are so already.
func (d *Dir) Write(o Owner, parts map[string]json.RawMessage, now time.Time) error {
	next := manifest{Version: version, SavedAt: now.UTC(), Owner: o, Parts: make(map[string]string, len(parts))}
	same := ownersEqual(o, d.last.Owner) && len(parts) == len(d.last.Parts)
	for name, raw := range parts {
		sum := sumOf(raw)
		next.Parts[name] = sum
		if d.last.Parts[name] == sum {
			continue
		}
		same = false
		if err := replace(d.part(name, sum), raw); err != nil {
			return fmt.Errorf("write the state: %w", err)
		}
	}
	if same {
		return nil
	}
	if err := d.write(next); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	d.last = next
	return d.sweep()
}

func ownersEqual(a, b Owner) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(x) == string(y)
}

func (d *Dir) write(m manifest) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replace(filepath.Join(d.path, stateFile), append(raw, '\n'))
}

// sweep removes the parts of earlier states, and what a killed process left
// unfinished.
func (d *Dir) sweep() error {
	keep := make(map[string]bool)
	for name, sum := range d.last.Parts {
		keep[filepath.Base(d.part(name, sum))] = true
	}
	for _, dir := range []string{d.path, filepath.Join(d.path, partsDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), durable.Temporary) || dir != d.path && !keep[e.Name()] {
				_ = os.Remove(filepath.Join(dir, e.Name())) // one that stays is swept the next time
			}
		}
	}
	return nil
}

// Close gives the folder back.
func (d *Dir) Close() error { return d.lock.Close() }

// replace writes a file in a folder that need not be there.
func replace(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return durable.Replace(path, data)
}
