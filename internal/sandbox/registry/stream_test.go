package registry

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// noise is a reader of n pseudo-random bytes.
func noise(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{}), n)
}

// TestHandler_streams pushes and pulls a layer that would show in memory if any
// of it were held there.
func TestHandler_streams(t *testing.T) {
	const size = 64 << 20
	s := serve(t, "")
	s.repository(t, "app", false)
	h := sha256.New()
	if _, err := io.Copy(h, noise(size)); err != nil {
		t.Fatal(err)
	}
	d := fmt.Sprintf("sha256:%x", h.Sum(nil))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	start, _ := s.send(t, http.MethodPost, "/v2/app/blobs/uploads/", "", nil)
	s.stream(t, http.MethodPatch, start.Header.Get("Location"), noise(size), size, http.StatusAccepted)
	s.stream(t, http.MethodPut, start.Header.Get("Location")+"?digest="+d, http.NoBody, 0, http.StatusCreated)
	pulled := s.stream(t, http.MethodGet, "/v2/app/blobs/"+d, http.NoBody, 0, http.StatusOK)

	runtime.ReadMemStats(&after)
	if pulled != size {
		t.Errorf("pulled %d bytes, want %d", pulled, int64(size))
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("allocated %d MiB for a layer of %d MiB", used>>20, size>>20)
	}
}

// stream sends a body of a length and returns how much came back.
func (s *served) stream(t *testing.T, method, path string, body io.Reader, length int64, status int) int64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.host+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = length
	r.SetBasicAuth(s.Credentials())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	if err != nil || answer.StatusCode != status {
		t.Fatalf("%s %s answers %d, %v; want %d", method, path, answer.StatusCode, err, status)
	}
	return n
}

// TestStore_concurrent pushes, tags, deletes and resolves at the same time; the
// race detector and the final state judge.
func TestStore_concurrent(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	var all sync.WaitGroup
	for i := range 8 {
		image := randomImage(t, "linux", "amd64")
		tag := fmt.Sprintf("v%d", i)
		all.Go(func() {
			if err := s.push(t, "app:"+tag, image); err != nil {
				t.Errorf("push %s: %v", tag, err)
				return
			}
			if _, err := s.Resolve("app", tag, "linux", "amd64"); err != nil {
				t.Errorf("resolve %s: %v", tag, err)
			}
			if i%2 == 0 && s.DeleteImage("app:"+tag) != 1 {
				t.Errorf("delete %s: it was not there", tag)
			}
		})
	}
	all.Wait()
	for i := range 8 {
		_, err := s.Resolve("app", fmt.Sprintf("v%d", i), "linux", "amd64")
		if (err == nil) != (i%2 == 1) {
			t.Errorf("at the end v%d is %v", i, err)
		}
	}
}

// TestStore_Hold resolves an image over and over while it is held.
func TestStore_Hold(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	if _, err := s.PutTiny("app", "v1", map[string][]byte{"a": nil}, TinyConfig{}); err != nil {
		t.Fatal(err)
	}
	var resolved atomic.Int64
	stop := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.Resolve("app", "v1", "linux", "amd64"); err == nil {
				resolved.Add(1)
			}
		}
	})
	for resolved.Load() == 0 {
		runtime.Gosched()
	}
	release := s.Hold()
	before := resolved.Load()
	for range 100_000 {
		runtime.Gosched()
	}
	// One call may have been done and not yet counted.
	if n := resolved.Load() - before; n > 1 {
		t.Errorf("%d images were resolved while the store was held", n)
	}
	s.DeleteImage("app:v1")
	release()
	close(stop)
	loop.Wait()
	if n := resolved.Load() - before; n > 1 {
		t.Errorf("%d images were resolved after the image was deleted", n)
	}
}
