//go:build unix

package dockerruntime

import (
	"errors"
	"os"
	"syscall"
)

// lockAt opens a file and locks it by flock(2). Without create, one that is not
// there is fs.ErrNotExist; a lock that is held is errHeld.
func lockAt(path string, create bool) (*lockFile, error) {
	flags := os.O_RDWR | os.O_APPEND
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errHeld
		}
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return &lockFile{path: path, f: f}, nil
}

// removeLocked removes the file while the lock is held, so that nobody can take
// it for a leftover in between.
func removeLocked(f *os.File, path string) {
	_ = os.Remove(path) // one that stays is a leftover, which a sweep removes
	_ = f.Close()
}
