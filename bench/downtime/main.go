// Command downtime counts the requests that fail while weelo-deploy releases.
//
//	go run ./bench/downtime [-times 10] [-rate 50] [-speed 20]
//
// The real binary releases to a sandbox with real containers; requests go through
// the sandbox's load balancer, from first to last. Each kind of application has a
// service of its own with two tasks, and all of them are released at the same time:
// good images, then images that die with exit code 139 and are rolled back. In
// between nothing is released under the same load, which is what the figures are
// held against. It ends with exit code 1 when an application that lets go of its
// requests properly lost one.
//
// It needs Go, a Docker engine on linux/amd64, and nothing else.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// options are what a run is told.
type options struct {
	times int     // releases of each kind
	rate  int     // requests a second for each application
	speed float64 // of the sandbox
}

func main() {
	var o options
	flag.IntVar(&o.times, "times", 10, "releases of each kind")
	flag.IntVar(&o.rate, "rate", 50, "requests a second for each application")
	flag.Float64Var(&o.speed, "speed", 20, "divides AWS's waiting times")
	flag.Parse()
	if flag.NArg() > 0 || o.times < 1 || o.rate < 1 || o.rate > 1000 || o.speed <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	met, err := bench(ctx, os.Stdout, o)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/downtime:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

// application is a way in which services are set up.
type application struct {
	name  string
	drain string // the application's DRAIN
	delay string // the target group's deregistration delay in seconds, divided by the speed
	good  bool   // it must not lose a request
}

var applications = []application{
	{"finishes, delay 60 s", "yes", "60", true},
	{"dies at SIGTERM, delay 60 s", "no", "60", true},
	{"finishes, delay 0 s", "yes", "0", false},
	{"dies at SIGTERM, delay 0 s", "no", "0", false},
}

// kinds are what happens to a service under load.
var kinds = []string{"nothing", "good release", "exit 139, back"}

// bench releases everything everywhere and prints what was lost.
func bench(ctx context.Context, w io.Writer, o options) (met bool, err error) {
	dir, err := os.MkdirTemp("", "downtime")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	s, err := start(ctx, dir, o.speed)
	if err != nil {
		return false, err
	}
	defer s.end()
	fmt.Fprintf(w, "real containers, sandbox at speed %g, 2 tasks for each application, %d requests a second each, a fifth of them take a second; %d times each\n",
		o.speed, o.rate, o.times)
	counts := make([][]count, len(applications))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for i, a := range applications {
		all.Go(func() {
			var err error
			if counts[i], err = s.measure(ctx, filepath.Join(dir, fmt.Sprint("app", i)), i, a, o); err != nil {
				cancel(fmt.Errorf("%s: %w", a.name, err))
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	return report(w, counts), nil
}
