package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// maxBody bounds a request, in bytes.
const maxBody = 64 << 10

// Order is an order as clients see it.
type Order struct {
	ID       string    `json:"id"`
	Customer string    `json:"customer"`
	Items    []Item    `json:"items"`
	Created  time.Time `json:"created"`
}

// Item is a line of an order.
type Item struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

// api is the HTTP interface.
type api struct {
	log     *slog.Logger
	version string
	ledger  *ledger
	place   func(Order) error // the slow part: stock, payment
}

// newAPI is the service's handler. The version is shown by GET /health.
func newAPI(log *slog.Logger, version string) http.Handler {
	a := &api{log: log, version: version, ledger: newLedger(time.Now), place: func(Order) error { return nil }}
	return a.routes()
}

func (a *api) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", a.health)
	mux.HandleFunc("POST /api/v1/orders", a.create)
	return mux
}

func (a *api) health(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok", "version": a.version})
}

// create places an order once for each idempotency key, and one at a time for
// each customer.
func (a *api) create(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("X-Idempotency-Key")
	if key == "" {
		refuse(w, http.StatusBadRequest, "MISSING_IDEMPOTENCY_KEY", "the header X-Idempotency-Key is required")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "TOO_LARGE", "the request is too large")
		return
	}
	order, problem := parseOrder(body)
	if problem != "" {
		refuse(w, http.StatusBadRequest, "INVALID_ORDER", problem)
		return
	}
	sum := sha256.Sum256(body)
	done, outcome := a.ledger.begin(order.Customer, key, sum)
	switch outcome {
	case reused:
		refuse(w, http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED", "this key belongs to another request")
	case busy:
		refuse(w, http.StatusConflict, "CONCURRENT_REQUEST", "another order of this customer is being placed")
	case replayed:
		w.Header().Set("X-Idempotent-Replay", "true")
		answer(w, http.StatusCreated, done)
	case locked:
		a.log.Info("Lock acquired", "customer", order.Customer)
		a.finish(w, order, key, sum)
	}
}

// finish places the order while the customer's lock is held.
func (a *api) finish(w http.ResponseWriter, order Order, key string, sum [32]byte) {
	order.ID, order.Created = "ord_"+rand.Text(), a.ledger.now().UTC()
	if err := a.place(order); err != nil {
		a.ledger.abort(order.Customer)
		a.log.Error("order failed", "customer", order.Customer, "error", err)
		refuse(w, http.StatusBadGateway, "ORDER_FAILED", "the order could not be placed; try again with the same key")
		return
	}
	a.ledger.commit(order, key, sum)
	a.log.Info("order placed", "id", order.ID, "customer", order.Customer)
	answer(w, http.StatusCreated, order)
}

// parseOrder returns what is wrong with the request, or nothing.
func parseOrder(body []byte) (Order, string) {
	var o Order
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, "the body is not an order: " + err.Error()
	}
	switch {
	case o.ID != "" || !o.Created.IsZero():
		return o, "id and created are not for clients to choose"
	case o.Customer == "":
		return o, "customer is missing"
	case len(o.Items) == 0:
		return o, "an order has items"
	}
	for _, i := range o.Items {
		if i.SKU == "" || i.Quantity < 1 {
			return o, "an item has a sku and a quantity of 1 or more"
		}
	}
	return o, ""
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]map[string]string{"error": {"code": code, "message": message}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone; there is nobody to tell
}
