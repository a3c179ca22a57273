package codebuild

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
)

func TestAddress(t *testing.T) {
	for name, c := range map[string]struct {
		u                         Uploader
		region, bucket, key, want string
	}{
		"a bucket":          {Uploader{}, "ap-south-1", "sources", "a/b c.zip", "https://sources.s3.ap-south-1.amazonaws.com/a/b%20c.zip"},
		"dots in its name":  {Uploader{}, "ap-south-1", "my.sources", "a.zip", "https://s3.ap-south-1.amazonaws.com/my.sources/a.zip"},
		"China":             {Uploader{}, "cn-north-1", "sources", "a.zip", "https://sources.s3.cn-north-1.amazonaws.com.cn/a.zip"},
		"another's machine": {Uploader{Endpoint: "http://127.0.0.1:9/"}, "ap-south-1", "sources", "a.zip", "http://127.0.0.1:9/sources/a.zip"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.u.address(c.region, c.bucket, c.key); got != c.want {
				t.Errorf("address = %s, want %s", got, c.want)
			}
		})
	}
}

func TestPut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answers []int
		tries   int
		code    string
	}{
		"taken at once":           {answers: []int{200}, tries: 1},
		"taken after a failure":   {answers: []int{503, 200}, tries: 2},
		"denied, asked only once": {answers: []int{403}, tries: 1, code: "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != http.MethodPut || r.URL.Path != "/sources/k.zip" || string(body) != "content" || !strings.Contains(r.Header.Get("Authorization"), "/ap-south-1/s3/aws4_request") {
					t.Errorf("%s %s, %q, %q", r.Method, r.URL.Path, body, r.Header.Get("Authorization"))
				}
				w.WriteHeader(c.answers[min(tries, len(c.answers)-1)])
				tries++
				_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
			}))
			defer s.Close()
			u := &Uploader{Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), Region: "ap-south-1", Endpoint: s.URL, Client: s.Client()}
			err := u.Put(t.Context(), "sources", "k.zip", path)
			var api smithy.APIError
			if got := errors.As(err, &api); got != (c.code != "") || got && api.ErrorCode() != c.code {
				t.Errorf("Put = %v, want the code %q", err, c.code)
			}
			if tries != c.tries {
				t.Errorf("%d requests, want %d", tries, c.tries)
			}
		})
	}
}

// A bucket of another region is asked for by a call that needs no right, and the
// object goes there.
func TestPutGoesToTheBucketsRegion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var hosts []string
	u := &Uploader{Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), Region: "ap-south-1", Client: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.Method+" "+r.URL.Host)
		res := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}
		if r.Method == http.MethodHead {
			res.StatusCode = http.StatusForbidden
			res.Header.Set("X-Amz-Bucket-Region", "eu-west-1")
		}
		return res, nil
	})}}
	if err := u.Put(t.Context(), "sources", "k.zip", path); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(hosts, ", "); got != "HEAD sources.s3.ap-south-1.amazonaws.com, PUT sources.s3.eu-west-1.amazonaws.com" {
		t.Errorf("asked %s", got)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
