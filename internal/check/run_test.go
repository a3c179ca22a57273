package check

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRepeatedRequestIsTheSameRequest(t *testing.T) {
	var mu sync.Mutex
	var keys, numbers []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		keys, numbers = append(keys, r.Header.Get("X-Idempotency-Key")), append(numbers, string(body))
	})
	h := HTTP{Method: "POST", URL: s.URL, Header: map[string]string{"X-Idempotency-Key": "weelo-{{.Random}}"}, Body: []byte("{{.Number}}"), Repeat: 2, Same: true}
	if rep := pass(t, direct, h); rep.Detail != "2 times 200, the same body" {
		t.Errorf("detail = %q", rep.Detail)
	}
	pass(t, direct, h)
	if keys[0] != keys[1] || keys[2] != keys[3] || keys[0] == keys[2] || len(keys[0]) < 20 {
		t.Errorf("keys = %q, want one for each time that the check is made", keys)
	}
	if got := strings.Join(numbers, ""); got != "1212" {
		t.Errorf("numbers = %s", got)
	}
}

func TestRepeatedRequestWithAnotherAnswerFails(t *testing.T) {
	var n atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "order %d", max(n.Add(1), 2)) })
	f := want(t, direct, HTTP{URL: s.URL, Repeat: 3, Same: true}, "CHECK_FAILED", "the same request got another answer the 3rd time")
	if e := fmt.Sprint(f.Evidence); !strings.Contains(e, "order 2") || !strings.Contains(e, "order 3") {
		t.Errorf("evidence = %q, want both answers", f.Evidence)
	}
	f = want(t, direct, HTTP{URL: s.URL, Repeat: 2, Expect: Expect{Contains: "order 4"}}, "CHECK_FAILED", "does not contain")
	if !strings.Contains(fmt.Sprint(f.Evidence), "it was request 2 of 2") {
		t.Errorf("evidence = %q", f.Evidence)
	}
}

// A service that takes one at a time is busy only for those who come meanwhile.
func TestParallelRequestsAreUnderWayTogether(t *testing.T) {
	const n = 20
	var begun, ended atomic.Int32
	all := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if begun.Add(1) == n {
			close(all)
		}
		<-all // nobody is served before all have come
		if body, err := io.ReadAll(r.Body); string(body) != "{}" {
			t.Errorf("body = %q, %v", body, err)
		}
		if ended.Add(1) > 1 {
			w.WriteHeader(http.StatusConflict)
		}
	})
	h := HTTP{Method: "POST", URL: s.URL, Body: []byte("{}"), Parallel: n, Statuses: map[int]int{200: 1, 409: n - 1}}
	if rep := pass(t, direct, h); rep.Detail != "20 at once: 1 × 200, 19 × 409" {
		t.Errorf("detail = %q", rep.Detail)
	}
}

func TestLastBytesWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3
		g := newGate(n)
		var sent, whole atomic.Int32
		read := func() {
			one := &ticket{gate: g}
			body := &held{rest: bytes.NewReader([]byte("0123456789")), wait: func() error { return one.pass(t.Context()) }}
			got, err := io.ReadAll(io.TeeReader(body, counter{&sent}))
			if string(got) != "0123456789" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
			whole.Add(1)
		}
		for range n - 1 {
			go read()
		}
		synctest.Wait()
		if sent.Load() != 9*(n-1) || whole.Load() != 0 {
			t.Errorf("%d bytes were sent and %d requests whole before the last came, want all but the last bytes", sent.Load(), whole.Load())
		}
		read()
		synctest.Wait()
		if sent.Load() != 10*n || whole.Load() != n {
			t.Errorf("%d bytes were sent in the end, %d requests whole", sent.Load(), whole.Load())
		}
	})
}

type counter struct{ *atomic.Int32 }

func (c counter) Write(p []byte) (int, error) { c.Add(int32(len(p))); return len(p), nil }

func TestParallelRequestsWithOtherStatusesFail(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "placed") })
	f := want(t, direct, HTTP{Method: "POST", URL: s.URL, Parallel: 5, Statuses: map[int]int{200: 1, 409: 4}}, "CHECK_FAILED", "5 at once: 5 × 200, want 1 × 200, 4 × 409")
	if len(f.Evidence) > 5 || !strings.Contains(fmt.Sprint(f.Evidence), "placed") {
		t.Errorf("evidence = %q, want some of the answers", f.Evidence)
	}
	want(t, direct, HTTP{URL: s.URL, Parallel: 2, Expect: Expect{Status: []int{201}}}, "CHECK_FAILED", "status 200, want 201")
	want(t, direct, HTTP{URL: s.URL, Parallel: 2, Expect: Expect{Within: time.Nanosecond}}, "CHECK_FAILED", "want at most 1ns")
	want(t, direct, HTTP{URL: s.URL, Parallel: 2, Statuses: map[int]int{200: 2}, Expect: Expect{Within: time.Nanosecond}}, "CHECK_FAILED", "2 at once: the slowest took")
}

func TestParallelRequestThatNeverArrivesDoesNotHoldTheOthers(t *testing.T) {
	h := HTTP{Method: "POST", URL: "http://" + free(t), Body: []byte("{}"), Parallel: 3}
	want(t, direct, h, "CHECK_UNREACHABLE", "connection refused")
}

func TestOrdinals(t *testing.T) {
	var got []string
	for _, n := range []int{1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 100} {
		got = append(got, ordinal(n))
	}
	if s := strings.Join(got, " "); s != "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 100th" {
		t.Errorf("ordinals: %s", s)
	}
}
