package builds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// mostBytes bounds one object: what one PutObject takes here.
const mostBytes = 512 << 20

// Objects is as much of S3 as a build's sources take: buckets with objects in
// memory, addressed by path (PUT, GET, HEAD and DELETE /BUCKET/KEY).
type Objects struct {
	region string
	mu     sync.Mutex
	bucket map[string]map[string][]byte
}

// NewObjects makes a store without buckets.
func NewObjects(region string) *Objects {
	return &Objects{region: region, bucket: map[string]map[string][]byte{}}
}

// CreateBucket makes a bucket; one that is there stays.
func (o *Objects) CreateBucket(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bucket[name] == nil {
		o.bucket[name] = map[string][]byte{}
	}
}

// Keys are the names of a bucket's objects.
func (o *Objects) Keys(bucket string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var keys []string
	for k := range o.bucket[bucket] {
		keys = append(keys, k)
	}
	return keys
}

// get reads an object by BUCKET/KEY.
func (o *Objects) get(location string) ([]byte, error) {
	bucket, key, _ := strings.Cut(location, "/")
	o.mu.Lock()
	defer o.mu.Unlock()
	content, err := o.open(bucket)
	if err != nil {
		return nil, err
	}
	b, ok := content[key]
	if !ok {
		return nil, awsjson.Errorf("NoSuchKey", http.StatusNotFound, "The specified key does not exist.")
	}
	return b, nil
}

// open finds a bucket. o.mu is held.
func (o *Objects) open(bucket string) (map[string][]byte, error) {
	if content := o.bucket[bucket]; content != nil {
		return content, nil
	}
	return nil, awsjson.Errorf("NoSuchBucket", http.StatusNotFound, "The specified bucket does not exist")
}

// operationNames are S3's names for methods on objects; a bucket knows HEAD only.
var operationNames = map[string]string{
	http.MethodPut: "PutObject", http.MethodGet: "GetObject", http.MethodDelete: "DeleteObject", http.MethodHead: "HeadObject",
}

// Operations are the calls that are here.
func (*Objects) Operations() []string {
	return []string{"DeleteObject", "GetObject", "HeadBucket", "HeadObject", "PutObject"}
}

// Handler serves the store. Calls go through do, which lets faults and the log of
// calls see them.
func (o *Objects) Handler(do func(context.Context, awsjson.Call, func(context.Context) awsjson.Answer) awsjson.Answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		operation := operationNames[r.Method]
		if key == "" {
			operation = map[string]string{http.MethodHead: "HeadBucket"}[r.Method]
		}
		w.Header().Set("X-Amz-Bucket-Region", o.region)
		call := awsjson.Call{Service: "s3", Operation: operation, Refuse: xmlError}
		a := do(r.Context(), call, func(context.Context) awsjson.Answer {
			if operation == "" {
				return xmlError(awsjson.Errorf("NotImplemented", http.StatusNotImplemented, "A header you provided implies functionality that is not implemented."))
			}
			body, err := o.answer(operation, bucket, key, r)
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

func (o *Objects) answer(operation, bucket, key string, r *http.Request) ([]byte, error) {
	switch operation {
	case "GetObject", "HeadObject":
		return o.get(bucket + "/" + key)
	case "PutObject":
		return nil, o.put(bucket, key, r)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	content, err := o.open(bucket)
	if err == nil && operation == "DeleteObject" {
		delete(content, key)
	}
	return nil, err
}

// signedForS3 is a signature of version 4 whose scope is S3, as S3 asks for it.
var signedForS3 = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[^/]+/[0-9]{8}/[a-z0-9-]+/s3/aws4_request, ?SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, ?Signature=[0-9a-f]{64}$`)

// put stores a body that is what its signature speaks of.
func (o *Objects) put(bucket, key string, r *http.Request) error {
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
	o.mu.Lock()
	defer o.mu.Unlock()
	content, err := o.open(bucket)
	if err == nil {
		content[key] = body
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
