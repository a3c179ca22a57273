// Command app is the application that bench/downtime releases: it answers on port
// 8080, slowly at /slow, and ends at SIGTERM: at once, or with DRAIN=yes after it
// has answered what it was asked.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	slow     = time.Second
	patience = 10 * time.Second
)

func main() {
	ctx, stop := context.WithCancel(context.Background())
	if os.Getenv("DRAIN") == "yes" {
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGTERM)
	} else {
		go exitAtOnce()
	}
	defer stop()
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

// exitAtOnce does what a process without a handler does, which the first process of
// a container has to do by itself.
func exitAtOnce() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	<-asked
	os.Exit(143)
}

func serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(slow):
			fmt.Fprintln(w, "ok")
		case <-r.Context().Done():
		}
	})
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: patience}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- server.Shutdown(drain)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}
