//go:build unix

package statedir

import (
	"errors"
	"os"
)

// syncDir flushes the names in a folder.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
