// Command orders is the service that the demo releases: a small order API with
// idempotency keys and a lock per customer, built into an image FROM scratch.
//
//	orders          serves on $PORT (8080)
//	orders health   asks a server on this machine for its health, for use as a
//	                container health check where the image has no curl
//
// On SIGTERM it stops accepting, lets the requests in flight finish, and exits
// with 0.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// shutdownTime is how long requests in flight may take after SIGTERM. It is less
// than ECS's default stop timeout of 30 s.
const shutdownTime = 20 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string) error {
	port := getenv("PORT")
	if port == "" {
		port = "8080"
	}
	switch {
	case len(args) == 0:
		log := slog.New(slog.NewTextHandler(os.Stdout, nil))
		l, err := net.Listen("tcp", ":"+port)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		return serve(ctx, l, newAPI(log, getenv("VERSION")), log)
	case len(args) == 1 && args[0] == "health":
		return checkHealth(ctx, "http://127.0.0.1:"+port)
	default:
		return fmt.Errorf("unknown arguments %q: want none, or health", args)
	}
}

// serve returns when ctx has ended and the requests in flight have finished.
func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		log.Info("stopping")
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		stopped <- server.Shutdown(patience)
	}()
	log.Info("listening", "address", l.Addr().String())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("finish the requests in flight: %w", err)
	}
	log.Info("stopped")
	return nil
}

// checkHealth is an error unless the server says that it is well.
func checkHealth(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/health", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("check health: %s", answer.Status)
	}
	return nil
}
