// Package durable writes files that are whole whenever they are looked at, also after
// a kill or after the machine has lost its power.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Temporary is how files begin that are not yet what they are to be. One that is
// found was left by a process that was killed.
const Temporary = ".new-"

// Replace writes a file, for the user alone, in the place of the one that is there.
// It is on the disk when Replace returns.
func Replace(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, Temporary+"*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDir(dir)
}
