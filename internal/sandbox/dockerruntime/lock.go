package dockerruntime

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// lockSuffix ends the names of lock files, folderSuffix those of the folders that
// belong to their owners.
const (
	lockSuffix   = ".lock"
	folderSuffix = ".files"
)

// errHeld: the lock's owner lives.
var errHeld = errors.New("the lock is held by a living process")

// lockFile is a file that says, by an advisory lock which the system drops with
// the process, that its owner lives. Its content is the images that the owner has
// pulled, a line of JSON each.
type lockFile struct {
	path string

	mu sync.Mutex
	f  *os.File
}

// defaultLockDir is the same for all sandboxes of a user.
func defaultLockDir() string {
	cache, err := os.UserCacheDir()
	if err != nil { // no home
		cache = os.TempDir()
	}
	return filepath.Join(cache, "weelo-deploy", "sandboxes")
}

// acquire makes the file and locks it. The path is made absolute, because others
// will read it off a label.
func acquire(path string) (*lockFile, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	for {
		l, err := lockAt(path, true)
		if err != nil {
			return nil, err
		}
		if l.stillThere() {
			return l, nil
		}
		l.abandon() // a sweep took it for a leftover between open and lock
	}
}

// stillThere reports whether the path still names the locked file.
func (l *lockFile) stillThere() bool {
	mine, err := l.f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(l.path)
	return err == nil && os.SameFile(mine, there)
}

// append adds a line, which ends with a line feed.
func (l *lockFile) append(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.f.Write(line); err != nil {
		return fmt.Errorf("write %s: %w", l.path, err)
	}
	return nil
}

// images reads what the owner had pulled. A last line that a crash has cut off is
// left out.
func (l *lockFile) images() ([]heldImage, error) {
	raw, err := os.ReadFile(l.path)
	if err != nil {
		return nil, err
	}
	latest := map[string]int{}
	var all []heldImage
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		var h heldImage
		if json.Unmarshal(lines.Bytes(), &h) != nil {
			continue
		}
		if i, seen := latest[h.Ref]; seen {
			all[i] = h
			continue
		}
		latest[h.Ref] = len(all)
		all = append(all, h)
	}
	return all, lines.Err()
}

// folder is for files that are to go with the lock.
func (l *lockFile) folder() string { return strings.TrimSuffix(l.path, lockSuffix) + folderSuffix }

// release removes the folder and the file, and drops the lock. When the folder
// stays, so does the file, for a sweep to find.
func (l *lockFile) release() error {
	if err := os.RemoveAll(l.folder()); err != nil {
		l.abandon()
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	removeLocked(l.f, l.path)
	return nil
}

// abandon drops the lock and leaves the file, for a sweep to find.
func (l *lockFile) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.f.Close() // nothing is lost: each line was written at once
}
