// Package objects is as much of S3 as the sandbox's builds and tasks take: buckets
// with objects in memory, addressed by path (PUT, GET, HEAD and DELETE /BUCKET/KEY,
// PUT and HEAD /BUCKET). CodeBuild's sources and a task's environment files are
// read from it. What is put must be signed for S3 and be what its signature says.
package objects

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

// mostBytes bounds one object: what one PutObject takes here.
const mostBytes = 512 << 20

// Store is the buckets of one region.
type Store struct {
	region string
	mu     sync.Mutex
	bucket map[string]map[string][]byte
}

// New makes a store without buckets.
func New(region string) *Store {
	return &Store{region: region, bucket: map[string]map[string][]byte{}}
}

// CreateBucket makes a bucket; one that is there stays.
func (s *Store) CreateBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket[name] == nil {
		s.bucket[name] = map[string][]byte{}
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
	bucket, key, _ := strings.Cut(location, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := s.open(bucket)
	if err != nil {
		return nil, err
	}
	b, ok := content[key]
	if !ok {
		return nil, awsjson.Errorf("NoSuchKey", http.StatusNotFound, "The specified key does not exist.")
	}
	return b, nil
}

// open finds a bucket. s.mu is held.
func (s *Store) open(bucket string) (map[string][]byte, error) {
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
	return []string{"CreateBucket", "DeleteObject", "GetObject", "HeadBucket", "HeadObject", "PutObject"}
}

// Handler serves the store. Calls go through do, which lets faults and the log of
// calls see them.
func (s *Store) Handler(do func(context.Context, awsjson.Call, func(context.Context) awsjson.Answer) awsjson.Answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		operation := operationNames[r.Method]
		if key == "" {
			operation = map[string]string{http.MethodHead: "HeadBucket", http.MethodPut: "CreateBucket"}[r.Method]
		}
		w.Header().Set("X-Amz-Bucket-Region", s.region)
		call := awsjson.Call{Service: "s3", Operation: operation, Refuse: xmlError}
		a := do(r.Context(), call, func(context.Context) awsjson.Answer {
			if operation == "" {
				return xmlError(awsjson.Errorf("NotImplemented", http.StatusNotImplemented, "A header you provided implies functionality that is not implemented."))
			}
			body, err := s.answer(operation, bucket, key, r)
			if err != nil {
				return xmlError(err)
			}
			return awsjson.Answer{Status: http.StatusOK, ContentType: "application/octet-stream", Body: body}
		})
		if r.Method == http.MethodHead {
			a.Body = nil
		}
		awsjson.Write(w, a)
	})
}

func (s *Store) answer(operation, bucket, key string, r *http.Request) ([]byte, error) {
	switch operation {
	case "GetObject", "HeadObject":
		return s.Get(bucket + "/" + key)
	case "PutObject":
		return nil, s.put(bucket, key, r)
	case "CreateBucket":
		if !bucketForm.MatchString(bucket) {
			return nil, awsjson.Errorf("InvalidBucketName", http.StatusBadRequest, "The specified bucket is not valid.")
		}
		s.CreateBucket(bucket)
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := s.open(bucket)
	if err == nil && operation == "DeleteObject" {
		delete(content, key)
	}
	return nil, err
}

var bucketForm = form.New(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// signedForS3 is a signature of version 4 whose scope is S3, as S3 asks for it.
var signedForS3 = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[^/]+/[0-9]{8}/[a-z0-9-]+/s3/aws4_request, ?SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, ?Signature=[0-9a-f]{64}$`)

// put stores a body that is what its signature speaks of.
func (s *Store) put(bucket, key string, r *http.Request) error {
	if !signedForS3.MatchString(r.Header.Get("Authorization")) {
		return awsjson.Errorf("AccessDenied", http.StatusForbidden, "Access Denied")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBytes+1))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	switch have := r.Header.Get("X-Amz-Content-Sha256"); {
	case len(body) > mostBytes:
		return awsjson.Errorf("EntityTooLarge", http.StatusBadRequest, "Your proposed upload exceeds the maximum allowed size")
	case have != "UNSIGNED-PAYLOAD" && have != hex.EncodeToString(sum[:]):
		return awsjson.Errorf("XAmzContentSHA256Mismatch", http.StatusBadRequest, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return s.Put(bucket, key, body)
}

// Put stores an object in a bucket that is there.
func (s *Store) Put(bucket, key string, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := s.open(bucket)
	if err == nil {
		content[key] = body
	}
	return err
}

// Save gives all buckets with their objects.
func (s *Store) Save() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.Marshal(s.bucket)
}

// Load puts what Save gave in the place of all buckets.
func (s *Store) Load(saved json.RawMessage) error {
	buckets := map[string]map[string][]byte{}
	if err := json.Unmarshal(saved, &buckets); err != nil {
		return fmt.Errorf("read buckets: %w", err)
	}
	for name, content := range buckets {
		if content == nil {
			buckets[name] = map[string][]byte{}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bucket = buckets
	return nil
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
