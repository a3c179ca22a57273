//go:build linux || darwin

package engine

import "golang.org/x/sys/unix"

// freeAt is the space that is left to us on the file system of a folder.
func freeAt(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
