package objects_test

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/objects"
)

// listing is what the tests read of both answers.
type listing struct {
	Buckets               []string `xml:"Buckets>Bucket>Name"`
	Keys                  []string `xml:"Contents>Key"`
	Times                 []string `xml:"Contents>LastModified"`
	Prefixes              []string `xml:"CommonPrefixes>Prefix"`
	IsTruncated           bool
	NextContinuationToken string
	EncodingType          string
}

func get(t *testing.T, s *objects.Store, path string) (int, string, listing) {
	t.Helper()
	rec := httptest.NewRecorder()
	s.Handler((&awsjson.Mux{}).Do).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	var l listing
	if err := xml.Unmarshal(rec.Body.Bytes(), &l); err != nil {
		t.Fatalf("GET %s gives %s: %v", path, rec.Body, err)
	}
	return rec.Code, rec.Body.String(), l
}

func listed(t *testing.T) *objects.Store {
	t.Helper()
	s := objects.New("us-east-1", t.TempDir(), false)
	s.CreateBucket("conf")
	s.CreateBucket("audit")
	for _, key := range []string{"b/1", "a", "b/2", "b/c/3", "d & e", "z/9"} {
		put(t, s, "conf", key, "x")
	}
	return s
}

func TestHandler_listsBuckets(t *testing.T) {
	if code, body, l := get(t, listed(t), "/?x-id=ListBuckets"); code != 200 || !slices.Equal(l.Buckets, []string{"audit", "conf"}) || !strings.Contains(body, "<CreationDate>") {
		t.Errorf("ListBuckets = %d %s", code, body)
	}
}

func TestHandler_listsKeysOfABucket(t *testing.T) {
	s := listed(t)
	for query, want := range map[string]string{
		"":                            "a b/1 b/2 b/c/3 d & e z/9 |",
		"&prefix=b/":                  "b/1 b/2 b/c/3 |",
		"&delimiter=/":                "a d & e | b/ z/",
		"&prefix=b/&delimiter=/":      "b/1 b/2 | b/c/",
		"&start-after=b/2":            "b/c/3 d & e z/9 |",
		"&encoding-type=url&prefix=d": "d%20%26%20e |",
		"&prefix=none":                "|",
		"&max-keys=0":                 "|",
		"&start-after=a&prefix=&delimiter=%2Fc%2F": "b/1 b/2 d & e z/9 | b/c/",
	} {
		code, body, l := get(t, s, "/conf?list-type=2"+query)
		got := strings.TrimSpace(strings.Join(append(append(l.Keys, "|"), l.Prefixes...), " "))
		if code != 200 || got != want || len(l.Times) != len(l.Keys) || l.IsTruncated {
			t.Errorf("%q lists %d %q, want %q: %s", query, code, got, want, body)
		}
	}
}

func TestHandler_listsPageByPage(t *testing.T) {
	s, token, got := listed(t), "", []string{}
	for range 4 {
		_, body, l := get(t, s, "/conf?list-type=2&delimiter=/&max-keys=1&continuation-token="+url.QueryEscape(token))
		got = append(append(got, l.Keys...), l.Prefixes...)
		if token = l.NextContinuationToken; l.IsTruncated != (token != "") {
			t.Fatal(body)
		}
	}
	if want := []string{"a", "b/", "d & e", "z/"}; !slices.Equal(got, want) || token != "" {
		t.Errorf("the pages have %q and go on with %q, want %q", got, token, want)
	}
	for _, wrong := range []string{"max-keys=x", "continuation-token=%21"} {
		if code, body, _ := get(t, s, "/conf?list-type=2&"+wrong); code != 400 || !strings.Contains(body, "InvalidArgument") {
			t.Errorf("%s gives %d %s", wrong, code, body)
		}
	}
	if code, body, _ := get(t, s, "/none?list-type=2"); code != 404 || !strings.Contains(body, "NoSuchBucket") {
		t.Errorf("a bucket that is none gives %d %s", code, body)
	}
}

func TestHandler_namesWhatItDoesNotHave(t *testing.T) {
	code, body, _ := get(t, listed(t), "/conf?location")
	if code != 501 || !strings.Contains(body, "NotImplemented") || !strings.Contains(body, "GET of a bucket with location") || !strings.Contains(body, "ListObjectsV2") {
		t.Errorf("GetBucketLocation gives %d %s", code, body)
	}
}
