package registry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/opencontainers/go-digest"
)

func (s *Store) blobDir() string   { return filepath.Join(s.dir, "blobs", "sha256") }
func (s *Store) uploadDir() string { return filepath.Join(s.dir, "uploads") }

// blobPath is the file of a blob or manifest. Digests come from clients: one
// that is not a SHA-256 has no file, so that none can name another path.
func (s *Store) blobPath(d string) (string, error) {
	parsed, err := digest.Parse(d)
	if err != nil || parsed.Algorithm() != digest.SHA256 {
		return "", fmt.Errorf("%q is not a sha256 digest", d)
	}
	return filepath.Join(s.blobDir(), parsed.Encoded()), nil
}

// blobSize is the size of a blob on disk in bytes, or -1 when it is not there.
func (s *Store) blobSize(d string) int64 {
	path, err := s.blobPath(d)
	if err != nil {
		return -1
	}
	st, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return st.Size()
}

// readSmall reads a manifest or config whole; both are bounded by maxManifest.
func (s *Store) readSmall(d string) ([]byte, error) {
	path, err := s.blobPath(d)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(data) > maxManifest {
		err = errors.New("larger than a manifest may be")
	}
	return data, err
}

// writeSmall stores a manifest under its digest.
func (s *Store) writeSmall(d string, data []byte) error {
	path, err := s.blobPath(d)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.uploadDir(), "manifest-")
	if err != nil {
		return fmt.Errorf("store manifest: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, s.flush(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("store manifest: %w", err)
	}
	return nil
}

// removeUnused deletes the files of those digests that no repository uses any
// more. s.mu is held.
func (s *Store) removeUnused(digests []string) {
	for _, d := range digests {
		if s.used(d) {
			continue
		}
		if path, err := s.blobPath(d); err == nil {
			_ = os.Remove(path) // a leftover is swept at the next start
		}
	}
}

func (s *Store) used(d string) bool {
	for _, r := range s.repos {
		if r.blobs[d] || r.Images[d] != nil {
			return true
		}
	}
	return false
}

// removeOrphans deletes blobs that were pushed for an image that never came.
func (s *Store) removeOrphans() error {
	files, err := os.ReadDir(s.blobDir())
	if err != nil {
		return err
	}
	for _, f := range files {
		if !s.used("sha256:" + f.Name()) {
			if err := os.Remove(filepath.Join(s.blobDir(), f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// blobReader is a part of a file with the description of the whole.
type blobReader struct {
	io.Reader
	io.Closer
	desc ociregistry.Descriptor
}

// WriteTo lets the kernel send a file: the copy sees what is inside.
func (b blobReader) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, b.Reader) }

func (b blobReader) Descriptor() ociregistry.Descriptor { return b.desc }

// openBlob opens the bytes from from up to, but not including, to of a blob; a
// negative to, or one beyond the end, is the end.
func (s *Store) openBlob(d string, from, to int64) (ociregistry.BlobReader, error) {
	path, err := s.blobPath(d)
	if err != nil {
		return nil, ociregistry.ErrBlobUnknown
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, ociregistry.ErrBlobUnknown
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read blob %s: %w", d, err)
	}
	desc := ociregistry.Descriptor{MediaType: "application/octet-stream", Digest: digest.Digest(d), Size: st.Size()}
	if from == 0 && (to < 0 || to >= st.Size()) {
		return blobReader{f, f, desc}, nil // a plain file is sent by the kernel
	}
	if to < 0 || to > st.Size() {
		to = st.Size()
	}
	return blobReader{io.NewSectionReader(f, from, max(to-from, 0)), f, desc}, nil
}
