package layer

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Cache keeps the facts of layers by diff id. It is an accelerator and nothing
// more: Get may forget, Put may do nothing, and neither fails.
type Cache interface {
	Get(diffID string) (*Facts, bool)
	Put(diffID string, f *Facts)
}

// version changes with everything that changes what Read finds.
const version = "weelo-deploy layer facts 1\n"

// Bounds of a Folder.
const (
	cacheFiles = 512
	cacheBytes = 128 << 20
	cacheEntry = 32 << 20  // bytes of one file
	cacheFacts = 256 << 20 // bytes that one file may unpack to
)

// Folder is a Cache in a folder of files, one for each layer. Any of them may be
// deleted at any time; a damaged one, or another version's, counts as none. The
// ones that were not used for longest go first when there are too many.
type Folder struct {
	Dir string
	Now func() time.Time // time.Now when nil
}

var diffID = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (c Folder) file(id string) (string, bool) {
	if c.Dir == "" || !diffID.MatchString(id) {
		return "", false
	}
	return filepath.Join(c.Dir, id[len("sha256:"):]+".facts"), true
}

func (c Folder) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// Get reads the facts of a layer and notes that they were used.
func (c Folder) Get(id string) (*Facts, bool) {
	name, ok := c.file(id)
	if !ok {
		return nil, false
	}
	if st, err := os.Stat(name); err != nil || st.Size() > cacheEntry {
		return nil, false
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, false
	}
	f, err := decode(raw)
	if err != nil {
		os.Remove(name)
		return nil, false
	}
	now := c.now()
	os.Chtimes(name, now, now)
	return f, true
}

// Put keeps the facts of a layer, and drops the oldest files over the bounds.
func (c Folder) Put(id string, f *Facts) {
	name, ok := c.file(id)
	if !ok {
		return
	}
	raw, err := encode(f)
	if err != nil || len(raw) > cacheEntry || os.MkdirAll(c.Dir, 0o700) != nil {
		return
	}
	if c.write(name, raw) == nil {
		now := c.now()
		os.Chtimes(name, now, now)
		c.trim()
	}
}

func (c Folder) write(name string, raw []byte) error {
	t, err := os.CreateTemp(c.Dir, "new-*")
	if err != nil {
		return err
	}
	_, err = t.Write(raw)
	if err = errors.Join(err, t.Close()); err == nil {
		err = os.Rename(t.Name(), name)
	}
	if err != nil {
		os.Remove(t.Name())
	}
	return err
}

// trim deletes files over the bounds, and temporary ones of an hour ago.
func (c Folder) trim() {
	names, err := os.ReadDir(c.Dir)
	if err != nil {
		return
	}
	var files []os.FileInfo
	for _, n := range names {
		st, err := n.Info()
		switch {
		case err != nil || !st.Mode().IsRegular():
		case filepath.Ext(n.Name()) == ".facts":
			files = append(files, st)
		case c.now().Sub(st.ModTime()) > time.Hour:
			os.Remove(filepath.Join(c.Dir, n.Name()))
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	var total int64
	for i, st := range files {
		if total += st.Size(); i >= cacheFiles || total > cacheBytes {
			os.Remove(filepath.Join(c.Dir, st.Name()))
		}
	}
}

// encode packs facts: the version, a checksum, and JSON in zstd.
func encode(f *Facts) ([]byte, error) {
	doc, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode a layer's facts: %w", err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("encode a layer's facts: %w", err)
	}
	packed := z.EncodeAll(doc, nil)
	sum := sha256.Sum256(packed)
	return slices.Concat([]byte(version), sum[:], packed), nil
}

func decode(raw []byte) (*Facts, error) {
	if len(raw) < len(version)+sha256.Size || string(raw[:len(version)]) != version {
		return nil, errCorrupt
	}
	sum, packed := raw[len(version):len(version)+sha256.Size], raw[len(version)+sha256.Size:]
	if got := sha256.Sum256(packed); string(got[:]) != string(sum) {
		return nil, errCorrupt
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(cacheFacts))
	if err != nil {
		return nil, fmt.Errorf("decode a layer's facts: %w", err)
	}
	defer z.Close()
	doc, err := z.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("decode a layer's facts: %w", err)
	}
	f := &Facts{}
	if err := json.Unmarshal(doc, f); err != nil {
		return nil, fmt.Errorf("decode a layer's facts: %w", err)
	}
	for _, err := range f.All() {
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}
