package registry

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/durable"
)

// What a reference can fail with. Errors of this package wrap them.
var (
	ErrRepository = errors.New("repository not found")
	ErrReference  = errors.New("image not found")
	ErrLayer      = errors.New("layer not found")
	ErrDenied     = errors.New("access denied")
	ErrExists     = errors.New("repository exists")
	ErrName       = errors.New("invalid repository name")

	ErrNoSpace     = errors.New("no space left on device")
	ErrUnavailable = errors.New("service unavailable")
)

// Action is what a client does with a repository's content.
type Action int

// The actions that a [Gate] can refuse.
const (
	Push Action = iota
	Pull
)

// Gate decides whether an action on a repository's content may go on. It
// returns nil, [ErrDenied], [ErrNoSpace] or [ErrUnavailable], and may be called concurrently.
type Gate func(a Action, repository string) error

// Option changes how a store works.
type Option func(*Store)

// WithGate makes the store ask g before every push and pull.
func WithGate(g Gate) Option { return func(s *Store) { s.gate = gated(g) } }

// WithClock replaces the clock of push times.
func WithClock(now func() time.Time) Option { return func(s *Store) { s.now = now } }

// WithSpeed divides the time that the restoring of an archived image takes.
func WithSpeed(n float64) Option { return func(s *Store) { s.speed = n } }

// Durable makes the store flush what it has acknowledged to the disk.
func Durable() Option { return func(s *Store) { s.durable = true } }

// Store holds the repositories. Its methods may be called concurrently.
type Store struct {
	account, region string
	dir             string
	temporary       bool // dir is ours to remove
	durable         bool // outlives the machine's power
	maxLayer        int64
	token           string
	gate            Gate
	now             func() time.Time
	speed           float64

	hold sync.RWMutex // see Hold

	mu      sync.Mutex
	repos   map[string]*repository
	uploads map[string]*upload
	closed  bool
}

// repository is one ECR repository. Everything but blobs is kept on disk.
type repository struct {
	Name      string            `json:"name"`
	CreatedAt time.Time         `json:"createdAt"`
	Labels    map[string]string `json:"labels"` // the resource's tags
	Tags      map[string]string `json:"tags"`   // tag → digest
	Images    map[string]*image `json:"images"` // by digest
	Lifecycle string            `json:"lifecycle,omitempty"`
	Evaluated time.Time         `json:"evaluated,omitzero"` // when Lifecycle was last carried out

	Mutability mutability           `json:"mutability"`
	Policy     string               `json:"policy,omitempty"`
	ScanOnPush bool                 `json:"scanOnPush,omitempty"`
	Encryption types.EncryptionType `json:"encryption,omitempty"` // shown, and no more
	KmsKey     string               `json:"kmsKey,omitempty"`

	// blobs are the layers and configs that clients of this repository can
	// see: those of its images, and those pushed for an image to come.
	blobs map[string]bool

	preview *preview // of a lifecycle policy, nil before there is one
}

// image is a manifest, or a record of one whose content is gone.
type image struct {
	MediaType    string    `json:"mediaType"`
	ArtifactType string    `json:"artifactType,omitempty"`
	Size         int64     `json:"size"` // of the manifest, its config and its layers
	PushedAt     time.Time `json:"pushedAt"`
	Refs         []string  `json:"refs"` // digests of config and layers
	Children     []string  `json:"children,omitempty"`
	Subject      string    `json:"subject,omitempty"` // of what is said about another image
	RecordOnly   bool      `json:"recordOnly,omitempty"`

	life
	scan
}

// nameRule is the repositoryName pattern of CreateRepository, without the
// library prefix that AWS reserves.
var nameRule = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

const stateFile = "repositories.json"

// Open opens the store in a directory, which it makes when it is not there. An
// empty dir is a temporary one that [Store.Close] removes.
func Open(dir, account, region string, options ...Option) (*Store, error) {
	s := &Store{
		account: account, region: region, dir: dir, temporary: dir == "",
		token: rand.Text(), now: time.Now, maxLayer: maxLayer, speed: 1,
		gate:  func(Action, string) error { return nil },
		repos: make(map[string]*repository), uploads: make(map[string]*upload),
	}
	for _, o := range options {
		o(s)
	}
	if s.temporary {
		made, err := os.MkdirTemp("", "weelo-sandbox-registry-")
		if err != nil {
			return nil, fmt.Errorf("create registry directory: %w", err)
		}
		s.dir = made
	}
	if err := s.prepare(); err != nil {
		if s.temporary {
			_ = os.RemoveAll(s.dir)
		}
		return nil, fmt.Errorf("open registry in %s: %w", s.dir, err)
	}
	return s, nil
}

// prepare makes the directories, reads the state and removes what an earlier
// process left unfinished.
func (s *Store) prepare() error {
	if err := os.RemoveAll(s.uploadDir()); err != nil {
		return err
	}
	for _, d := range []string{s.blobDir(), s.uploadDir()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(filepath.Join(s.dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &s.repos); err != nil {
		return fmt.Errorf("read %s: %w", stateFile, err)
	}
	for _, r := range s.repos {
		r.blobs = r.referenced()
	}
	return s.removeOrphans()
}

// Close ends all uploads. A temporary directory is removed.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	open := slices.Collect(maps.Values(s.uploads))
	s.mu.Unlock()
	for _, u := range open {
		_ = u.Cancel() // what is left is swept at the next start
	}
	if s.temporary {
		return os.RemoveAll(s.dir)
	}
	return nil
}

// Credentials are the user name and password that the registry takes: what
// GetAuthorizationToken hands out.
func (s *Store) Credentials() (user, password string) { return "AWS", s.token }

// CreateRepository makes a repository. It fails with [ErrExists] and [ErrName].
func (s *Store) CreateRepository(name string, immutable bool) error {
	mode := types.ImageTagMutabilityMutable
	if immutable {
		mode = types.ImageTagMutabilityImmutable
	}
	return s.create(&repository{Name: name, Mutability: mutability{Mode: mode}})
}

func (s *Store) create(r *repository) error {
	if len(r.Name) < 2 || len(r.Name) > 256 || !nameRule.MatchString(r.Name) {
		return fmt.Errorf("create repository %q: %w", r.Name, ErrName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos[r.Name] != nil {
		return fmt.Errorf("create repository %s: %w", r.Name, ErrExists)
	}
	r.CreatedAt = s.now().UTC()
	r.Tags, r.Images, r.blobs = make(map[string]string), make(map[string]*image), make(map[string]bool)
	s.repos[r.Name] = r
	return s.save()
}

// Repositories lists the repositories' names, sorted.
func (s *Store) Repositories() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.repos))
}

// find returns a repository. s.mu is held.
func (s *Store) find(name string) (*repository, error) {
	if r := s.repos[name]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("the repository %s does not exist: %w", name, ErrRepository)
}

// save writes the state. s.mu is held.
func (s *Store) save() error {
	data, err := json.MarshalIndent(s.repos, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", stateFile, err)
	}
	if err := s.write(filepath.Join(s.dir, stateFile), data); err != nil {
		return fmt.Errorf("write registry state: %w", err)
	}
	return nil
}

// write replaces the state. A registry that outlives the machine's power has the
// blobs on the disk that it names, before it is.
func (s *Store) write(path string, data []byte) error {
	if s.durable {
		if err := durable.SyncDir(s.blobDir()); err != nil {
			return err
		}
		return durable.Replace(path, data)
	}
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// referenced is the set of blobs that the repository's images consist of.
func (r *repository) referenced() map[string]bool {
	all := make(map[string]bool)
	for _, m := range r.Images {
		for _, d := range m.Refs {
			all[d] = true
		}
	}
	return all
}
