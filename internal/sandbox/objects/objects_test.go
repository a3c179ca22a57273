package objects_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/objects"
)

func TestHandler_MakesBucketsByPath(t *testing.T) {
	s := objects.New("us-east-1", "", false)
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
	dir := filepath.Join(t.TempDir(), "objects")
	s := objects.New("us-east-1", dir, true)
	s.CreateBucket("conf")
	s.CreateBucket("empty")
	put(t, s, "conf", "dir/app.env", "A=1\x00")
	put(t, s, "conf", "../../escape", "B=2")
	saved := save(t, s)
	put(t, s, "conf", "dir/app.env", "A=3")
	put(t, s, "conf", "late", "C=4") // neither of these is in the state

	other := objects.New("us-east-1", dir, true)
	if err := other.Load(saved); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"dir/app.env": "A=1\x00", "../../escape": "B=2"} {
		if got, err := other.Get("conf/" + key); err != nil || string(got) != want {
			t.Errorf("object %s = %q, %v", key, got, err)
		}
	}
	if _, err := other.Get("conf/late"); err == nil {
		t.Error("an object is there that the state does not have")
	}
	put(t, other, "empty", "x", "")
	wantFiles(t, dir, 3)
	if err := other.Load([]byte("[]")); err == nil {
		t.Error("Load took a list for buckets")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := other.Load(saved); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("Load without the files = %v, want the file's name", err)
	}
}

// A state is a folder that somebody may have been given: nothing outside of it is read
// or removed, whatever it names.
func TestLoad_refusesFilesThatAreNotInItsFolder(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "objects")
	s := objects.New("us-east-1", dir, true)
	s.CreateBucket("conf")
	put(t, s, "conf", "a", "12345")
	saved := save(t, s)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	name, outside := files[0].Name(), filepath.Join(top, files[0].Name())
	if err := os.WriteFile(outside, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.ReplaceAll(string(saved), name, "../"+name)
	if err := objects.New("us-east-1", dir, true).Load(json.RawMessage(elsewhere)); err == nil {
		t.Error("Load took a file in another folder for an object")
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, name)), os.Symlink(outside, filepath.Join(dir, name))); err != nil {
		t.Fatal(err)
	}
	if err := objects.New("us-east-1", dir, true).Load(saved); err == nil {
		t.Error("Load took a link to a file in another folder for an object")
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

// TestSave_removesFilesThatNoStateNames: the state of before has to be readable
// until the next is written.
func TestSave_removesFilesThatNoStateNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "objects")
	s := objects.New("us-east-1", dir, true)
	s.CreateBucket("conf")
	put(t, s, "conf", "a", "1")
	save(t, s)
	put(t, s, "conf", "a", "2")
	wantFiles(t, dir, 2)
	save(t, s)
	wantFiles(t, dir, 2)
	save(t, s)
	wantFiles(t, dir, 1)
}

func TestClose_removesTheTemporaryFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := objects.New("us-east-1", "", false)
	s.CreateBucket("conf")
	put(t, s, "conf", "a", "1")
	put(t, s, "conf", "a", "2")
	wantFiles(t, os.TempDir(), 1)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantFiles(t, os.TempDir(), 0)
}

func put(t *testing.T, s *objects.Store, bucket, key, content string) {
	t.Helper()
	if err := s.Put(bucket, key, []byte(content)); err != nil {
		t.Fatal(err)
	}
}

func save(t *testing.T, s *objects.Store) json.RawMessage {
	t.Helper()
	saved, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func wantFiles(t *testing.T, dir string, want int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != want {
		t.Errorf("%s has %d files, %v; want %d", dir, len(files), err, want)
	}
}
