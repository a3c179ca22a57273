package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"sync"
	"syscall"
	"time"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/opencontainers/go-digest"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// Bounds of uploads: ECR's quota for the size of a layer, and how many may be open at
// once.
const (
	maxLayer   = 52_000 << 20
	maxUploads = 200
)

// idleUpload is how long an upload may rest before it is given up.
const idleUpload = time.Hour

// upload is a blob that is being pushed: a file that grows, with its running
// hash. A client sends one request at a time; lock keeps a broken one from
// mixing two.
type upload struct {
	store *Store
	repo  string
	id    string

	lock sync.Mutex
	file *os.File // nil once it is committed or cancelled
	hash hash.Hash
	size int64
	used time.Time
}

// begin starts an upload to a repository that exists.
func (s *Store) begin(repo string) (*upload, error) {
	s.sweepUploads()
	f, err := os.CreateTemp(s.uploadDir(), "blob-")
	if err != nil {
		return nil, fmt.Errorf("start upload: %w", err)
	}
	u := &upload{store: s, repo: repo, id: awsjson.NewUUID(), file: f, hash: sha256.New(), used: s.now()}
	s.mu.Lock()
	_, err = s.find(repo)
	if err == nil && s.closed {
		err = errors.New("registry is closed")
	}
	if err == nil {
		s.uploads[u.id] = u
	}
	tooMany := len(s.uploads) > maxUploads
	s.mu.Unlock()
	if err != nil {
		u.drop()
		return nil, err
	}
	if tooMany {
		s.dropIdlest(u)
	}
	return u, nil
}

// dropIdlest gives up the upload, other than the new one, to which nothing was
// written for the longest time.
func (s *Store) dropIdlest(new *upload) {
	s.mu.Lock()
	var idlest *upload
	var since time.Time
	for _, u := range s.uploads {
		if u == new || !u.lock.TryLock() { // one that is being written to
			continue
		}
		if idlest == nil || u.used.Before(since) {
			idlest, since = u, u.used
		}
		u.lock.Unlock()
	}
	s.mu.Unlock()
	if idlest != nil {
		_ = idlest.Cancel()
	}
}

// resume finds an upload of the repository. offset is where the client goes on,
// 0 or less when it does not say.
func (s *Store) resume(repo, id string, offset int64) (*upload, error) {
	s.mu.Lock()
	u := s.uploads[id]
	s.mu.Unlock()
	if u == nil || u.repo != repo {
		return nil, ociregistry.ErrBlobUploadUnknown
	}
	if offset > 0 && offset != u.Size() {
		return nil, ociregistry.ErrRangeInvalid
	}
	return u, nil
}

// sweepUploads gives up the uploads whose clients have gone.
func (s *Store) sweepUploads() {
	var idle []*upload
	s.mu.Lock()
	for _, u := range s.uploads {
		if u.idleSince(s.now().Add(-idleUpload)) {
			idle = append(idle, u)
		}
	}
	s.mu.Unlock()
	for _, u := range idle {
		_ = u.Cancel()
	}
}

// idleSince says whether nothing was written after t. An upload whose lock is
// taken is being written to.
func (u *upload) idleSince(t time.Time) bool {
	if !u.lock.TryLock() {
		return false
	}
	defer u.lock.Unlock()
	return u.used.Before(t)
}

// Write appends to the blob.
func (u *upload) Write(p []byte) (int, error) {
	u.lock.Lock()
	defer u.lock.Unlock()
	if u.file == nil {
		return 0, ociregistry.ErrBlobUploadUnknown
	}
	if u.size+int64(len(p)) > u.store.maxLayer {
		return 0, tooLarge("layer", u.store.maxLayer)
	}
	n, err := u.file.Write(p)
	u.hash.Write(p[:n])
	u.size += int64(n)
	u.used = u.store.now()
	if errors.Is(err, syscall.ENOSPC) {
		err = u.store.wire(ErrNoSpace, u.repo)
	}
	return n, err
}

// Close leaves the upload open for the client's next request.
func (u *upload) Close() error { return nil }

// Size is the number of bytes received.
func (u *upload) Size() int64 {
	u.lock.Lock()
	defer u.lock.Unlock()
	return u.size
}

// ChunkSize 0 sets no least size for chunks.
func (u *upload) ChunkSize() int { return 0 }

// ID names the upload in its URL.
func (u *upload) ID() string { return u.id }

// Cancel removes what was received.
func (u *upload) Cancel() error {
	u.forget()
	u.drop()
	return nil
}

func (u *upload) forget() {
	u.store.mu.Lock()
	delete(u.store.uploads, u.id)
	u.store.mu.Unlock()
}

func (u *upload) drop() {
	u.lock.Lock()
	defer u.lock.Unlock()
	if u.file != nil {
		u.file.Close()
		_ = os.Remove(u.file.Name())
		u.file = nil
	}
}

// Commit checks the content against its digest and makes it a blob of the
// repository.
func (u *upload) Commit(want ociregistry.Digest) (ociregistry.Descriptor, error) {
	defer u.Cancel() // nothing is left to remove after success
	u.lock.Lock()
	defer u.lock.Unlock()
	if u.file == nil {
		return ociregistry.Descriptor{}, ociregistry.ErrBlobUploadUnknown
	}
	got := "sha256:" + hex.EncodeToString(u.hash.Sum(nil))
	if got != string(want) {
		return ociregistry.Descriptor{}, ociregistry.ErrDigestInvalid
	}
	path, err := u.store.blobPath(got)
	if err != nil {
		return ociregistry.Descriptor{}, err
	}
	name := u.file.Name()
	err = errors.Join(u.store.flush(u.file), u.file.Close())
	u.file = nil
	if err != nil {
		_ = os.Remove(name)
		return ociregistry.Descriptor{}, fmt.Errorf("store blob: %w", err)
	}
	if err := u.store.adopt(u.repo, got, name, path); err != nil {
		_ = os.Remove(name)
		return ociregistry.Descriptor{}, err
	}
	return ociregistry.Descriptor{MediaType: "application/octet-stream", Digest: digest.Digest(got), Size: u.size}, nil
}

// adopt moves a finished upload to its place and gives it to the repository.
// Both happen under the lock, so that no deletion comes between.
func (s *Store) adopt(repo, d, from, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(repo)
	if err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("store blob: %w", err)
	}
	r.blobs[d] = true
	return nil
}

// flush waits until a file is on the disk, when the registry is to outlive the
// machine's power.
func (s *Store) flush(f *os.File) error {
	if !s.durable {
		return nil
	}
	return f.Sync()
}
