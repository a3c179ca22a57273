//go:build !linux && !darwin

package engine

import "errors"

// freeAt is not known: engines for Linux images run in a virtual machine here.
func freeAt(string) (int64, error) { return 0, errors.ErrUnsupported }
