package codebuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// Uploader is the little of S3 that a build's source takes: one object stored by
// one request, and removed. The SDK's module for S3 would add 1 MB to the
// program for these three requests.
type Uploader struct {
	Credentials aws.CredentialsProvider
	Region      string
	Endpoint    string // of another S3 than AWS's, addressed by path; empty: AWS's
	Client      *http.Client
}

// Times that S3 gets to take an object, and pauses between them.
const (
	uploadTries = 3
	uploadPause = time.Second
)

// emptyHash is the SHA-256 of nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Put stores a file. A bucket in another region is asked there.
func (u *Uploader) Put(ctx context.Context, bucket, key, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	region, err := u.regionOf(ctx, bucket)
	if err != nil {
		return fmt.Errorf("find the bucket %s: %w", bucket, err)
	}
	for try := 1; ; try++ {
		err = u.send(ctx, http.MethodPut, region, bucket, key, &body{io.NewSectionReader(f, 0, size), size, hex.EncodeToString(sum.Sum(nil))})
		var no *refusal
		if err == nil || errors.As(err, &no) && no.status < 500 || try == uploadTries || ctx.Err() != nil {
			break
		}
		select {
		case <-time.After(uploadPause << (try - 1)):
		case <-ctx.Done():
		}
	}
	if err != nil {
		return fmt.Errorf("upload the sources to s3://%s/%s: %w", bucket, key, err)
	}
	return nil
}

// Delete removes an object.
func (u *Uploader) Delete(ctx context.Context, bucket, key string) error {
	region, err := u.regionOf(ctx, bucket)
	if err != nil {
		return err
	}
	return u.send(ctx, http.MethodDelete, region, bucket, key, nil)
}

// regionOf asks where a bucket is; S3 says so also to whom it denies the rest.
func (u *Uploader) regionOf(ctx context.Context, bucket string) (string, error) {
	if u.Endpoint != "" {
		return u.Region, nil
	}
	res, err := u.do(ctx, http.MethodHead, u.Region, bucket, "", nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	switch region := res.Header.Get("X-Amz-Bucket-Region"); {
	case region != "":
		return region, nil
	case res.StatusCode == http.StatusNotFound:
		return "", &refusal{"NoSuchBucket", "The specified bucket does not exist", res.StatusCode}
	}
	return u.Region, nil
}

// body is what a request carries.
type body struct {
	io.Reader
	size int64
	hash string
}

// send makes one request, and gives S3's error for an answer that is none of
// success.
func (u *Uploader) send(ctx context.Context, method, region, bucket, key string, b *body) error {
	res, err := u.do(ctx, method, region, bucket, key, b)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if res.StatusCode < 300 {
		return err
	}
	var e struct{ Code, Message string }
	if xml.Unmarshal(text, &e) != nil || e.Code == "" {
		e.Code = http.StatusText(res.StatusCode)
	}
	return &refusal{e.Code, e.Message, res.StatusCode}
}

func (u *Uploader) do(ctx context.Context, method, region, bucket, key string, b *body) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.address(region, bucket, key), nil)
	if err != nil {
		return nil, err
	}
	hash := emptyHash
	if b != nil {
		req.Body, req.ContentLength, hash = io.NopCloser(b), b.size, b.hash
		req.Header.Set("Content-Type", "application/zip")
	}
	req.Header.Set("X-Amz-Content-Sha256", hash)
	who, err := u.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	// S3 takes a path as it is sent; the other services escape it once more.
	plain := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }
	if err := v4.NewSigner().SignHTTP(ctx, who, req, hash, "s3", region, time.Now(), plain); err != nil {
		return nil, err
	}
	return u.Client.Do(req)
}

// address is an object's URL. The bucket is part of the host, but for names with
// dots, which no certificate of AWS's covers, and for endpoints of others.
func (u *Uploader) address(region, bucket, key string) string {
	path := (&url.URL{Path: "/" + key}).EscapedPath()
	if u.Endpoint != "" {
		return strings.TrimSuffix(u.Endpoint, "/") + "/" + bucket + path
	}
	host := "s3." + region + ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	if strings.Contains(bucket, ".") {
		return "https://" + host + "/" + bucket + path
	}
	return "https://" + bucket + "." + host + path
}

// refusal is S3's error. It is a smithy.APIError like those of the SDK's modules.
type refusal struct {
	code, message string
	status        int
}

func (r *refusal) Error() string        { return r.code + ": " + r.message }
func (r *refusal) ErrorCode() string    { return r.code }
func (r *refusal) ErrorMessage() string { return r.message }
func (r *refusal) HTTPStatusCode() int  { return r.status }
func (r *refusal) ErrorFault() smithy.ErrorFault {
	if r.status >= 500 {
		return smithy.FaultServer
	}
	return smithy.FaultClient
}
