package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestServeFinishesRequestsInFlight(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	a, _ := testAPI(func(Order) error {
		close(entered)
		<-leave
		return nil
	})
	ctx, terminate := context.WithCancel(t.Context())
	log, logged := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- serve(ctx, l, a.routes(), slog.New(slog.NewTextHandler(logged, nil))) }()
	stopping := make(chan struct{})
	go func() { // the log is how one sees from outside that it stops
		var all strings.Builder
		b := make([]byte, 1024)
		for {
			n, err := log.Read(b)
			if err != nil {
				return
			}
			if all.Write(b[:n]); strings.Contains(all.String(), "stopping") {
				close(stopping)
				_, _ = io.Copy(io.Discard, log)
				return
			}
		}
	}()
	defer log.Close()

	status := make(chan int, 1)
	go func() {
		r, _ := http.NewRequest(http.MethodPost, "http://"+l.Addr().String()+"/api/v1/orders", strings.NewReader(oneBook))
		r.Header.Set("X-Idempotency-Key", "k1")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			status <- 0
			return
		}
		answer.Body.Close()
		status <- answer.StatusCode
	}()
	<-entered
	terminate()
	<-stopping
	close(leave)
	if got := <-status; got != http.StatusCreated {
		t.Errorf("request in flight: got status %d, want 201", got)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: got %v, want none", err)
	}
	if _, err := http.Get("http://" + l.Addr().String() + "/health"); err == nil {
		t.Error("after the end it still answers")
	}
}

func TestUnknownArguments(t *testing.T) {
	err := run(t.Context(), []string{"heath"}, func(string) string { return "" })
	if err == nil || !strings.Contains(err.Error(), "heath") {
		t.Errorf("got %v, want an error that names the argument", err)
	}
}
