// Command pingengine asks the Docker engine that the docker command line would
// use whether it is there: GET /_ping within 3 s. It is the eyes of
// scripts/ensure-docker, and uses nothing but the standard library so that it
// runs where neither curl nor the docker command line nor any module is.
//
// It prints one line, what it found or why it found nothing, and exits
//
//	0  the engine answers
//	1  nothing answers at the default socket: an engine may be missing
//	3  nothing answers at an endpoint that the user chose, by DOCKER_HOST or a
//	   context: installing an engine would not help
//	4  the socket is there and this user may not open it
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"
)

// patience is how long an engine may take to answer.
const patience = 3 * time.Second

func main() {
	os.Exit(run())
}

func run() int {
	at, err := resolve(os.Getenv)
	if err != nil {
		fmt.Println(err)
		return 3
	}
	server, err := ping(at)
	if err == nil {
		fmt.Printf("%s answers at %s\n", server, at.host)
		return 0
	}
	fmt.Printf("no engine answers at %s%s: %v\n", at.host, at.from, err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return 4
	case at.chosen:
		return 3
	default:
		return 1
	}
}

// ping returns what the engine calls itself.
func ping(at endpoint) (string, error) {
	dial, scheme, config, err := at.dialer(os.Getenv)
	if err != nil {
		return "", err
	}
	client := http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   config,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, dial.network, dial.address)
			},
		},
	}
	answer, err := client.Get(scheme + "://docker/_ping")
	if err != nil {
		return "", errors.Unwrap(err) // without the made-up URL
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET /_ping: %s", answer.Status)
	}
	if server := answer.Header.Get("Server"); server != "" {
		return server, nil
	}
	return "an engine", nil
}
