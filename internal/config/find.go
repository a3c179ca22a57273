package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
)

// maxSize bounds the file: a configuration is a few kilobytes.
const maxSize = 1 << 20

// discover is the file that applies in dir: the one in dir or in the nearest
// folder above it, no further than the root of the git work tree, the file
// system's root otherwise. Empty: there is none.
func discover(dir string) (string, error) {
	for {
		path := filepath.Join(dir, FileName)
		if exists(path) {
			return path, nil
		}
		if other := strings.TrimSuffix(path, ".yaml") + ".yml"; exists(other) {
			return "", event.Fail(event.CodeConfig, other+": the file must be called "+FileName).Try("mv " + other + " " + path)
		}
		parent := filepath.Dir(dir)
		if exists(filepath.Join(dir, ".git")) || parent == dir {
			return "", nil
		}
		dir = parent
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// read is the content of the file at path. name is the path for people.
func read(path, name string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, readFailure(name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, readFailure(name, err)
	}
	if len(data) > maxSize {
		return nil, event.Fail(event.CodeConfig, fmt.Sprintf("%s: larger than %d KiB", name, maxSize>>10))
	}
	return data, nil
}

func readFailure(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	f := event.Fail(event.CodeConfig, fmt.Sprintf("read configuration %s: %s", name, err)).Because(err)
	if errors.Is(err, fs.ErrNotExist) {
		return f.Hint("without --config, " + FileName + " is looked for here and in the folders above")
	}
	return f
}

// shown is path as people in dir would write it.
func shown(path, dir string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil || len(rel) > len(path) {
		return path
	}
	return rel
}
