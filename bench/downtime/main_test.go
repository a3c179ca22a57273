package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestReportSaysWhetherSomethingWasLostThatMayNotBe(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int // the application that lost a request
		met  bool
		says string
	}{
		{"nothing", -1, true, "no request lost where targets are drained: met"},
		{"by an application that is drained", 0, false, "1 × 502 from the load balancer"},
		{"by one that is not", len(applications) - 1, true, "1 × 502 from the load balancer"},
	} {
		counts := make([][]count, len(applications))
		for i := range counts {
			counts[i] = make([]count, len(kinds))
			for j := range kinds {
				counts[i][j].requests = 10
			}
		}
		if c.at >= 0 {
			counts[c.at][1].failed, counts[c.at][1].causes = 1, map[string]int{"502 from the load balancer": 1}
		}
		var out bytes.Buffer
		if met := report(&out, counts); met != c.met || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: report() = %t\n%s\nwant %t and %q", c.name, met, out.String(), c.met, c.says)
		}
	}
}

func TestLoadCountsWhatFailsByItsCause(t *testing.T) {
	var asked atomic.Int32
	twenty := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); {
		case n == 1:
			w.WriteHeader(http.StatusBadGateway)
		case n == 2:
			panic(http.ErrAbortHandler)
		case n == 20:
			close(twenty)
		case r.URL.Path != "/" && r.URL.Path != "/slow":
			t.Errorf("%s was asked for", r.URL.Path)
		}
	}))
	defer server.Close()
	enough := func(context.Context) error {
		<-twenty
		return nil
	}
	var c count
	if err := c.under(done(t), strings.TrimPrefix(server.URL, "http://"), 500, enough); err != nil {
		t.Fatal(err)
	}
	if c.failed != 2 || c.requests < 20 || c.causes["502 from the load balancer"] != 1 || !strings.Contains(c.words(), "1 × no answer: EOF") {
		t.Errorf("of %d requests %d failed: %s", c.requests, c.failed, c.words())
	}
}

// done is a context whose waits are over at once.
func done(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
