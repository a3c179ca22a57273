package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weelo/weelo-deploy/internal/check"
	"github.com/weelo/weelo-deploy/internal/event"
)

// The two live checks that docs/configuration.md shows, on this service.
var (
	sameOrderTwice = check.HTTP{
		Name: "a repeated order", Method: http.MethodPost,
		Header: map[string]string{"X-Idempotency-Key": "check-{{.Random}}"},
		Body:   []byte(`{"customer":"check-{{.Random}}","items":[{"sku":"book","quantity":1}]}`),
		Expect: check.Expect{Status: []int{201}},
		Repeat: 2, Same: true,
	}
	oneOrderAtATime = check.HTTP{
		Name: "one order at a time", Method: http.MethodPost,
		Header:   map[string]string{"X-Idempotency-Key": "check-{{.Random}}-{{.Number}}"},
		Body:     []byte(`{"customer":"check-{{.Random}}","items":[{"sku":"book","quantity":1}]}`),
		Parallel: 5, Statuses: map[int]int{201: 1, 409: 4},
	}
)

// direct takes no proxy of the environment.
var direct = check.Client{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }}

// liveAPI is an API whose first order is placed only when four others were refused:
// what a payment of half a second does.
func liveAPI(t *testing.T, locked bool) string {
	t.Helper()
	four := make(chan struct{}, 4)
	a, _ := testAPI(func(o Order) error {
		for range cap(four) {
			if locked && strings.HasPrefix(o.Customer, "check-") {
				<-four
			}
		}
		return nil
	})
	routes := a.routes()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		routes.ServeHTTP(&watched{w, four}, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/api/v1/orders"
}

// watched tells of every refused request.
type watched struct {
	http.ResponseWriter
	refused chan<- struct{}
}

func (w *watched) WriteHeader(status int) {
	if status == http.StatusConflict {
		w.refused <- struct{}{}
	}
	w.ResponseWriter.WriteHeader(status)
}

func TestLiveChecksPassOnOrders(t *testing.T) {
	for want, c := range map[string]struct {
		check  check.HTTP
		locked bool
	}{
		"2 times 201, the same body":  {sameOrderTwice, false},
		"5 at once: 1 × 201, 4 × 409": {oneOrderAtATime, true},
	} {
		t.Run(c.check.Name, func(t *testing.T) {
			c.check.URL = liveAPI(t, c.locked)
			rep, err := direct.Run(t.Context(), c.check)
			if err != nil || rep.Detail != want {
				t.Errorf("got %q, %v, want %q", rep.Detail, err, want)
			}
		})
	}
}

func TestLiveChecksFindAnAPIWithoutKeysAndLocks(t *testing.T) {
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusCreated, Order{ID: fmt.Sprint("ord_", n.Add(1))})
	}))
	defer server.Close()
	c := sameOrderTwice
	c.URL = server.URL
	_, err := direct.Run(t.Context(), c)
	var f *event.Failure
	if !errors.As(err, &f) || !strings.Contains(f.Message, "another answer the 2nd time") {
		t.Errorf("a repeated order: got %v", err)
	}
	c = oneOrderAtATime
	c.URL = server.URL
	if _, err := direct.Run(t.Context(), c); !errors.As(err, &f) || !strings.Contains(f.Message, "5 at once: 5 × 201, want 1 × 201, 4 × 409") {
		t.Errorf("one order at a time: got %v", err)
	}
}
