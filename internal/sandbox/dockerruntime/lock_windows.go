package dockerruntime

import (
	"errors"
	"os"
	"syscall"
)

// errorSharingViolation is ERROR_SHARING_VIOLATION (System Error Codes).
const errorSharingViolation = syscall.Errno(32)

// lockAt opens a file for this process alone to write: others may read it, and
// cannot open it for writing, which is what they try to find out whether its
// owner lives. Without create, one that is not there is fs.ErrNotExist; one that
// is open elsewhere is errHeld.
func lockAt(path string, create bool) (*lockFile, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	mode := uint32(syscall.OPEN_EXISTING)
	if create {
		mode = syscall.OPEN_ALWAYS
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.FILE_APPEND_DATA,
		syscall.FILE_SHARE_READ, nil, mode, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errorSharingViolation) {
		return nil, errHeld
	}
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return &lockFile{path: path, f: os.NewFile(uintptr(handle), path)}, nil
}

// removeLocked closes first: Windows does not remove a file that is open.
func removeLocked(f *os.File, path string) {
	_ = f.Close()
	_ = os.Remove(path) // one that stays is a leftover, which a sweep removes
}
