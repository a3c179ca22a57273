package objects

import (
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// mostKeys is what one page has at most.
const mostKeys = 1000

// namespace is that of S3's answers.
const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// listedBucket is one of ListBuckets. Buckets keep no time: they are as old as the
// store.
type listedBucket struct {
	Name         string
	CreationDate string
}

// listedObject is one of ListObjectsV2.
type listedObject struct {
	Key          string
	LastModified string
	Size         int64
	StorageClass string
}

type listedPrefix struct{ Prefix string }

// page is the answer of ListObjectsV2.
type page struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Namespace             string   `xml:"xmlns,attr"`
	Name, Prefix          string
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount, MaxKeys     int
	IsTruncated           bool
	Contents              []listedObject
	CommonPrefixes        []listedPrefix
}

// list answers the operations whose answer is a document.
func (s *Store) list(operation, bucket string, q url.Values) awsjson.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if operation == "ListBuckets" {
		return xmlAnswer(s.buckets())
	}
	content, err := s.open(bucket)
	if err != nil {
		return xmlError(err)
	}
	p, err := s.page(bucket, content, q)
	if err != nil {
		return xmlError(err)
	}
	return xmlAnswer(p)
}

func (s *Store) buckets() any {
	all := []listedBucket{}
	for _, name := range slices.Sorted(maps.Keys(s.bucket)) {
		all = append(all, listedBucket{name, stamp(s.since)})
	}
	return struct {
		XMLName   xml.Name       `xml:"ListAllMyBucketsResult"`
		Namespace string         `xml:"xmlns,attr"`
		Buckets   []listedBucket `xml:"Buckets>Bucket"`
	}{Namespace: namespace, Buckets: all}
}

// page is the part of a bucket's keys that a query asks for. s.mu is held.
func (s *Store) page(bucket string, content map[string]object, q url.Values) (page, error) {
	p := page{
		Namespace: namespace, Name: bucket, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), EncodingType: q.Get("encoding-type"),
		StartAfter: q.Get("start-after"), ContinuationToken: q.Get("continuation-token"), MaxKeys: mostKeys,
	}
	if text := q.Get("max-keys"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return p, awsjson.Errorf("InvalidArgument", http.StatusBadRequest, "Provided max-keys not an integer or within integer range")
		}
		p.MaxKeys = min(n, mostKeys)
	}
	done, err := base64.RawURLEncoding.DecodeString(p.ContinuationToken)
	if err != nil {
		return p, awsjson.Errorf("InvalidArgument", http.StatusBadRequest, "The continuation token provided is incorrect")
	}
	last := string(done)
	for _, key := range slices.Sorted(maps.Keys(content)) {
		item, rolled := rollUp(key, p.Prefix, p.Delimiter)
		if !strings.HasPrefix(key, p.Prefix) || key <= p.StartAfter || last != "" && item <= last {
			continue
		}
		if p.KeyCount >= p.MaxKeys {
			p.IsTruncated = p.MaxKeys > 0
			break
		}
		p.KeyCount++
		if last = item; rolled {
			p.CommonPrefixes = append(p.CommonPrefixes, listedPrefix{p.encoded(item)})
			continue
		}
		p.Contents = append(p.Contents, listedObject{p.encoded(key), stamp(s.changed(content[key])), content[key].Size, "STANDARD"})
	}
	if p.IsTruncated {
		p.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(last))
	}
	p.Prefix, p.Delimiter, p.StartAfter = p.encoded(p.Prefix), p.encoded(p.Delimiter), p.encoded(p.StartAfter)
	return p, nil
}

// rollUp is what a key is listed as: up to the first delimiter after the prefix.
func rollUp(key, prefix, delimiter string) (item string, rolled bool) {
	rest, ok := strings.CutPrefix(key, prefix)
	if i := strings.Index(rest, delimiter); ok && delimiter != "" && i >= 0 {
		return prefix + rest[:i+len(delimiter)], true
	}
	return key, false
}

// encoded is a key as the client asked for it: XML cannot hold every one.
func (p *page) encoded(key string) string {
	if p.EncodingType != "url" {
		return key
	}
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(key), "+", "%20"), "%2F", "/")
}

// changed is when an object was put: its file is written once.
func (s *Store) changed(o object) time.Time {
	st, err := os.Stat(filepath.Join(s.dir, o.File))
	if err != nil {
		return s.since
	}
	return st.ModTime()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func xmlAnswer(document any) awsjson.Answer {
	body, err := xml.Marshal(document)
	if err != nil {
		return xmlError(err)
	}
	return awsjson.Answer{Status: http.StatusOK, ContentType: "application/xml", Body: append([]byte(xml.Header), body...)}
}
