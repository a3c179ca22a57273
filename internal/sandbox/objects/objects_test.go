package objects_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/objects"
)

func TestHandler_MakesBucketsByPath(t *testing.T) {
	s := objects.New("us-east-1")
	h := s.Handler((&awsjson.Mux{}).Do)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodHead, "/conf", 404}, {http.MethodPut, "/conf", 200}, {http.MethodPut, "/conf", 200}, {http.MethodHead, "/conf", 200},
		{http.MethodPut, "/No_Bucket", 400}, {http.MethodGet, "/conf", 501},
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil))
		if rec.Code != c.status {
			t.Errorf("%s %s = %d %s, want %d", c.method, c.path, rec.Code, rec.Body, c.status)
		}
	}
}

func TestSave_IsWhatLoadBringsBack(t *testing.T) {
	s := objects.New("us-east-1")
	s.CreateBucket("conf")
	s.CreateBucket("empty")
	if err := s.Put("conf", "dir/app.env", []byte("A=1\x00")); err != nil {
		t.Fatal(err)
	}
	saved, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	other := objects.New("us-east-1")
	if err := other.Load(saved); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Get("conf/dir/app.env"); err != nil || string(got) != "A=1\x00" {
		t.Errorf("object = %q, %v", got, err)
	}
	if err := other.Put("empty", "x", nil); err != nil {
		t.Errorf("the empty bucket did not come back: %v", err)
	}
	if err := other.Load([]byte("[]")); err == nil {
		t.Error("Load took a list for buckets")
	}
}
