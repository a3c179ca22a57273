package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const oneBook = `{"customer":"ada","items":[{"sku":"book","quantity":1}]}`

// testAPI is an API whose clock stands still and whose orders are placed by place.
func testAPI(place func(Order) error) (*api, *time.Time) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	if place == nil {
		place = func(Order) error { return nil }
	}
	return &api{log: slog.New(slog.DiscardHandler), version: "v1.0.9", ledger: newLedger(func() time.Time { return now }), place: place}, &now
}

type reply struct {
	status int
	replay bool
	order  Order
	code   string // of a refusal
}

func post(t *testing.T, a *api, key, body string) reply {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/api/v1/orders", strings.NewReader(body))
	if key != "" {
		r.Header.Set("X-Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	a.routes().ServeHTTP(w, r)
	got := reply{status: w.Code, replay: w.Header().Get("X-Idempotent-Replay") == "true"}
	var refusal struct{ Error struct{ Code string } }
	for _, into := range []any{&got.order, &refusal} {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Errorf("answer %q: %v", w.Body, err)
		}
	}
	got.code = refusal.Error.Code
	return got
}

func TestHealth(t *testing.T) {
	a, _ := testAPI(nil)
	server := httptest.NewServer(a.routes())
	defer server.Close()
	answer, err := http.Get(server.URL + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if want := `{"status":"ok","version":"v1.0.9"}`; err != nil || strings.TrimSpace(string(body)) != want {
		t.Errorf("GET /health: got %s %v, want %s", body, err, want)
	}
	if err := checkHealth(t.Context(), server.URL); err != nil {
		t.Errorf("orders health: got %v, want none", err)
	}
	if err := checkHealth(t.Context(), server.URL+"/elsewhere"); err == nil {
		t.Error("orders health of what answers 404: got none, want an error")
	}
}

func TestOrderIsPlacedOnceForAKey(t *testing.T) {
	placed := 0
	a, now := testAPI(func(Order) error { placed++; return nil })
	first := post(t, a, "k1", oneBook)
	again := post(t, a, "k1", oneBook)
	if first.status != http.StatusCreated || first.replay || first.order.ID == "" {
		t.Errorf("first: got %+v, want a new order", first)
	}
	if again.status != http.StatusCreated || !again.replay || again.order.ID != first.order.ID {
		t.Errorf("again: got %+v, want the order %s replayed", again, first.order.ID)
	}
	if other := post(t, a, "k2", oneBook); other.replay || other.order.ID == first.order.ID {
		t.Errorf("another key: got %+v, want an order of its own", other)
	}
	*now = now.Add(keyLife + time.Second)
	if late := post(t, a, "k1", oneBook); late.replay || late.order.ID == first.order.ID {
		t.Errorf("the key a day later: got %+v, want a new order", late)
	}
	if placed != 3 {
		t.Errorf("orders placed: got %d, want 3", placed)
	}
}

func TestKeyOfAnotherRequestIsRefused(t *testing.T) {
	a, _ := testAPI(nil)
	post(t, a, "k1", oneBook)
	got := post(t, a, "k1", strings.Replace(oneBook, "1", "2", 1))
	if got.status != http.StatusUnprocessableEntity || got.code != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("got %d %s, want 422 IDEMPOTENCY_KEY_REUSED", got.status, got.code)
	}
	if other := post(t, a, "k1", strings.Replace(oneBook, "ada", "bob", 1)); other.status != http.StatusCreated {
		t.Errorf("the same key of another customer: got %d %s, want 201", other.status, other.code)
	}
}

func TestOneOrderAtATimeForACustomer(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	a, _ := testAPI(func(o Order) error {
		if o.Customer == "ada" {
			entered <- struct{}{}
			<-leave
		}
		return nil
	})
	first := make(chan reply)
	go func() { first <- post(t, a, "k1", oneBook) }()
	<-entered
	for _, key := range []string{"k1", "k2"} {
		if got := post(t, a, key, oneBook); got.status != http.StatusConflict || got.code != "CONCURRENT_REQUEST" {
			t.Errorf("key %s meanwhile: got %d %s, want 409 CONCURRENT_REQUEST", key, got.status, got.code)
		}
	}
	if got := post(t, a, "k3", strings.Replace(oneBook, "ada", "bob", 1)); got.status != http.StatusCreated {
		t.Errorf("another customer meanwhile: got %d %s, want 201", got.status, got.code)
	}
	close(leave)
	if got := <-first; got.status != http.StatusCreated {
		t.Errorf("the first: got %d %s, want 201", got.status, got.code)
	}
	go func() { <-entered }()
	if got := post(t, a, "k2", oneBook); got.status != http.StatusCreated {
		t.Errorf("afterwards: got %d %s, want 201", got.status, got.code)
	}
}

func TestFailedOrderCanBeTriedAgainWithItsKey(t *testing.T) {
	fail := true
	a, _ := testAPI(func(Order) error {
		if fail {
			return errors.New("payment: timeout")
		}
		return nil
	})
	if got := post(t, a, "k1", oneBook); got.status != http.StatusBadGateway || got.code != "ORDER_FAILED" {
		t.Errorf("got %d %s, want 502 ORDER_FAILED", got.status, got.code)
	}
	fail = false
	if got := post(t, a, "k1", oneBook); got.status != http.StatusCreated || got.replay {
		t.Errorf("again: got %+v, want a new order", got)
	}
}

func TestBadOrders(t *testing.T) {
	for name, x := range map[string]struct{ key, body, code string }{
		"no key":         {"", oneBook, "MISSING_IDEMPOTENCY_KEY"},
		"not JSON":       {"k", "order: book", "INVALID_ORDER"},
		"unknown member": {"k", `{"customer":"ada","itmes":[]}`, "INVALID_ORDER"},
		"no customer":    {"k", `{"items":[{"sku":"book","quantity":1}]}`, "INVALID_ORDER"},
		"no items":       {"k", `{"customer":"ada","items":[]}`, "INVALID_ORDER"},
		"nothing of it":  {"k", `{"customer":"ada","items":[{"sku":"book","quantity":0}]}`, "INVALID_ORDER"},
		"own id":         {"k", `{"id":"ord_1","customer":"ada","items":[{"sku":"book","quantity":1}]}`, "INVALID_ORDER"},
		"too large":      {"k", `{"customer":"` + strings.Repeat("a", maxBody) + `"}`, "TOO_LARGE"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := testAPI(func(Order) error { t.Error("a bad order was placed"); return nil })
			if got := post(t, a, x.key, x.body); got.code != x.code || got.status < 400 || got.status > 499 {
				t.Errorf("got %d %s, want a 4xx and %s", got.status, got.code, x.code)
			}
		})
	}
}
