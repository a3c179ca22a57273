// Package objects is as much of S3 as the sandbox's builds and tasks take: buckets
// with objects, addressed by path (PUT, GET, HEAD and DELETE /BUCKET/KEY, PUT,
// HEAD and GET /BUCKET, GET /). CodeBuild's sources and a task's environment files are read from
// it. What is put must be signed for S3 and be what its signature says.
//
// The content of objects is in files, so that memory does not depend on it.
package objects

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

// mostBytes bounds one object: what one PutObject takes here.
const mostBytes = 512 << 20

// Store is the buckets of one region.
type Store struct {
	region    string
	since     time.Time
	kept      bool // a state names the files
	temporary bool // dir is ours to remove

	mu     sync.Mutex
	dir    string // empty: made with the first object
	bucket map[string]map[string]object

	// replaced are files that no object has any more and the state before may
	// still name; unnamed are those that it does not name either. See Save.
	replaced, unnamed []string
}

// object is where an object's content is.
type object struct {
	File string // in the directory; no part of it comes from a client
	Size int64
}

// New makes a store without buckets in a directory; an empty one is a temporary
// one, made when it is needed. With kept the store is saved, and another one will
// load what it was: files stay as long as a state on the disk may name them.
func New(region, dir string, kept bool) *Store {
	return &Store{region: region, since: time.Now(), dir: dir, kept: kept, temporary: dir == "", bucket: map[string]map[string]object{}}
}

// Close removes a temporary directory.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.temporary || s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// CreateBucket makes a bucket; one that is there stays.
func (s *Store) CreateBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket[name] == nil {
		s.bucket[name] = map[string]object{}
	}
}

// Keys are the names of a bucket's objects.
func (s *Store) Keys(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for k := range s.bucket[bucket] {
		keys = append(keys, k)
	}
	return keys
}

// Get reads an object by BUCKET/KEY.
func (s *Store) Get(location string) ([]byte, error) {
	f, _, err := s.Open(location)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Open opens an object by BUCKET/KEY, and gives its size.
func (s *Store) Open(location string) (*os.File, int64, error) {
	bucket, key, _ := strings.Cut(location, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := s.open(bucket)
	if err != nil {
		return nil, 0, err
	}
	b, ok := content[key]
	if !ok {
		return nil, 0, awsjson.Errorf("NoSuchKey", http.StatusNotFound, "The specified key does not exist.")
	}
	f, err := os.Open(filepath.Join(s.dir, b.File))
	return f, b.Size, err
}

// open finds a bucket. s.mu is held.
func (s *Store) open(bucket string) (map[string]object, error) {
	if content := s.bucket[bucket]; content != nil {
		return content, nil
	}
	return nil, awsjson.Errorf("NoSuchBucket", http.StatusNotFound, "The specified bucket does not exist")
}

// operationNames are S3's names for methods on objects; a bucket knows HEAD and PUT.
var operationNames = map[string]string{
	http.MethodPut: "PutObject", http.MethodGet: "GetObject", http.MethodDelete: "DeleteObject", http.MethodHead: "HeadObject",
}

// Operations are the calls that are here.
func (*Store) Operations() []string {
	return []string{"CreateBucket", "DeleteObject", "GetObject", "HeadBucket", "HeadObject", "ListBuckets", "ListObjectsV2", "PutObject"}
}

// operationOf is what a request asks for, empty when that is not here.
func operationOf(r *http.Request, bucket, key string) string {
	switch {
	case key != "":
		return operationNames[r.Method]
	case bucket == "" && r.Method == http.MethodGet:
		return "ListBuckets"
	case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		return "ListObjectsV2"
	}
	return map[string]string{http.MethodHead: "HeadBucket", http.MethodPut: "CreateBucket"}[r.Method]
}

// notHere names what was asked for, and what could have been.
func (s *Store) notHere(r *http.Request) error {
	what := r.Method + " of a bucket"
	if parameters := slices.Sorted(maps.Keys(r.URL.Query())); len(parameters) > 0 {
		what += " with " + strings.Join(parameters, ", ")
	}
	return awsjson.Errorf("NotImplemented", http.StatusNotImplemented, "The sandbox does not have this: %s. It has %s.", what, strings.Join(s.Operations(), ", "))
}

// Handler serves the store. Calls go through do, which lets faults and the log of
// calls see them.
func (s *Store) Handler(do func(context.Context, awsjson.Call, func(context.Context) awsjson.Answer) awsjson.Answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		operation := operationOf(r, bucket, key)
		w.Header().Set("X-Amz-Bucket-Region", s.region)
		call := awsjson.Call{Service: "s3", Operation: operation, Refuse: xmlError}
		var content *os.File
		var size int64
		a := do(r.Context(), call, func(context.Context) awsjson.Answer {
			if operation == "" {
				return xmlError(s.notHere(r))
			}
			if operation == "ListBuckets" || operation == "ListObjectsV2" {
				return s.list(operation, bucket, r.URL.Query())
			}
			var err error
			if content, size, err = s.answer(operation, bucket, key, r); err != nil {
				return xmlError(err)
			}
			return awsjson.Answer{Status: http.StatusOK, ContentType: "application/octet-stream"}
		})
		if content != nil {
			defer content.Close()
		}
		if r.Method == http.MethodHead {
			a.Body = nil
		}
		if content == nil || a.Status != http.StatusOK || a.Cut || a.Half || a.Body != nil { // no object, or a fault's answer
			awsjson.Write(w, a)
			return
		}
		awsjson.Head(w, a, size)
		_, _ = io.CopyN(w, content, size) // a client that has gone does not need the rest, and HEAD's needs nothing
	})
}

// answer does what was asked for. A file is what the client gets, and is the
// caller's to close.
func (s *Store) answer(operation, bucket, key string, r *http.Request) (*os.File, int64, error) {
	switch operation {
	case "GetObject", "HeadObject":
		return s.Open(bucket + "/" + key)
	case "PutObject":
		return nil, 0, s.put(bucket, key, r)
	case "CreateBucket":
		if !bucketForm.MatchString(bucket) {
			return nil, 0, awsjson.Errorf("InvalidBucketName", http.StatusBadRequest, "The specified bucket is not valid.")
		}
		s.CreateBucket(bucket)
		return nil, 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := s.open(bucket)
	if err == nil && operation == "DeleteObject" {
		s.drop(content, key)
	}
	return nil, 0, err
}

// drop removes an object, if it is there. A file that a state on the disk may name
// stays until there is another state. s.mu is held.
func (s *Store) drop(content map[string]object, key string) {
	old, there := content[key]
	if !there {
		return
	}
	delete(content, key)
	if !s.kept {
		_ = os.Remove(filepath.Join(s.dir, old.File)) // whoever removes the directory removes what stays
		return
	}
	s.replaced = append(s.replaced, old.File)
}

var bucketForm = form.New(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// Wants says whether a request to the address without a path is S3's: a client signs
// it so.
func Wants(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Authorization"), "/s3/aws4_request,")
}

// signedForS3 is a signature of version 4 whose scope is S3, as S3 asks for it.
var signedForS3 = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[^/]+/[0-9]{8}/[a-z0-9-]+/s3/aws4_request, ?SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, ?Signature=[0-9a-f]{64}$`)

// put stores a body that is what its signature speaks of.
func (s *Store) put(bucket, key string, r *http.Request) error {
	if !signedForS3.MatchString(r.Header.Get("Authorization")) {
		return awsjson.Errorf("AccessDenied", http.StatusForbidden, "Access Denied")
	}
	sum := sha256.New()
	return s.store(bucket, key, io.TeeReader(io.LimitReader(r.Body, mostBytes+1), sum), func(size int64) error {
		switch have := r.Header.Get("X-Amz-Content-Sha256"); {
		case size > mostBytes:
			return awsjson.Errorf("EntityTooLarge", http.StatusBadRequest, "Your proposed upload exceeds the maximum allowed size")
		case have != "UNSIGNED-PAYLOAD" && have != hex.EncodeToString(sum.Sum(nil)):
			return awsjson.Errorf("XAmzContentSHA256Mismatch", http.StatusBadRequest, "The provided 'x-amz-content-sha256' header does not match what was computed.")
		}
		return nil
	})
}

// Put stores an object in a bucket that is there.
func (s *Store) Put(bucket, key string, body []byte) error {
	return s.store(bucket, key, bytes.NewReader(body), func(int64) error { return nil })
}

// store writes an object's file, and makes it the object when check, which is told
// its size, does not refuse.
func (s *Store) store(bucket, key string, body io.Reader, check func(int64) error) error {
	f, err := s.create(bucket)
	if err != nil {
		return err
	}
	size, err := io.Copy(f, body)
	if err == nil {
		err = check(size)
	}
	if err == nil && s.kept {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.adopt(bucket, key, object{File: filepath.Base(f.Name()), Size: size})
	}
	if err != nil {
		_ = os.Remove(f.Name()) // Load and Close remove what stays
	}
	return err
}

// create makes the file of an object to come.
func (s *Store) create(bucket string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.open(bucket); err != nil {
		return nil, err
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "weelo-sandbox-objects-")
		if err != nil {
			return nil, err
		}
		s.dir = dir
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	return os.CreateTemp(s.dir, "object-")
}

func (s *Store) adopt(bucket, key string, b object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := s.open(bucket)
	if err == nil {
		s.drop(content, key)
		content[key] = b
	}
	return err
}

// xmlError renders an error as S3 does.
func xmlError(err error) awsjson.Answer {
	code, status, message := awsjson.ErrorParts(err)
	body, merr := xml.Marshal(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: code, Message: message})
	if merr != nil {
		body = []byte(errors.Join(err, merr).Error())
	}
	return awsjson.Answer{Status: status, ContentType: "application/xml", Body: body, ErrorCode: code}
}
