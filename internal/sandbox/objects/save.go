package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weelo/weelo-deploy/internal/sandbox/snapshot"
)

// kept is what of a store lives through a restart, besides the files.
type kept struct {
	bucket map[string]map[string]object
}

// Save is the state as it is now. The state before the last one is not read any
// more, so the files go that it alone has named.
func (s *Store) Save() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range s.unnamed {
		_ = os.Remove(filepath.Join(s.dir, file)) // Load removes what stays
	}
	s.unnamed, s.replaced = s.replaced, nil
	return snapshot.Marshal(&kept{s.bucket})
}

// ErrDamaged is why a state cannot be loaded whose files are not what it names.
var ErrDamaged = errors.New("not what was written")

// Load puts what Save gave in the place of all buckets, and removes files that it
// does not name. An object whose file is gone is an error that names it.
func (s *Store) Load(saved json.RawMessage) error {
	var k kept
	if err := snapshot.Unmarshal(saved, &k); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	named := make(map[string]bool)
	for bucket, content := range k.bucket {
		for key, b := range content {
			path := filepath.Join(s.dir, filepath.Base(b.File))
			if st, err := os.Lstat(path); err != nil || st.Size() != b.Size || !st.Mode().IsRegular() || b.File != filepath.Base(b.File) {
				return fmt.Errorf("object %s/%s: the file %s is %w", bucket, key, path, ErrDamaged)
			}
			named[b.File] = true
		}
	}
	files, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		if !named[f.Name()] {
			_ = os.Remove(filepath.Join(s.dir, f.Name())) // it is tried again the next time
		}
	}
	s.bucket = k.bucket
	return nil
}
