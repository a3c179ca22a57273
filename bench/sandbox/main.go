// Command sandbox measures the sandbox: its registry against Debian's
// docker-registry, and its control plane with 100 services and 1,000 tasks.
//
//	go run ./bench/sandbox [-runs 5] [-mb 300] [-layers 3] [-services 100] [-tasks 10]
//
// Both registries are processes of their own on loopback, and get the same random
// layers from the same client, in turns. The peer is fetched with `apt-get download`
// and unpacked in a temporary folder; nothing is installed. The control plane runs
// scripted tasks in this process and is asked while all services deploy, beside a
// plain server that sends an answer of the same size. It ends with exit code 1 when a
// goal is missed; without the peer (no Debian) its ratio is none.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// The goals.
const (
	leastRatio   = 1.0                   // of the peer's throughput for the same push
	mostResident = 50 << 20              // bytes of the process that serves the registry
	mostHeap     = 300 << 20             // bytes of a process with the services
	mostMedian   = 10 * time.Millisecond // of DescribeServices while all services deploy
)

type options struct {
	runs, mb, layers, services, tasks int
}

func main() {
	var o options
	serve := flag.Bool("serve", false, "be the registry that is measured")
	state := flag.String("state", "", "with -serve: keep the state in this folder")
	flag.IntVar(&o.runs, "runs", 5, "paired runs that are measured; one more goes before them")
	flag.IntVar(&o.mb, "mb", 300, "size of an image, in MB")
	flag.IntVar(&o.layers, "layers", 3, "layers of an image")
	flag.IntVar(&o.services, "services", 100, "services")
	flag.IntVar(&o.tasks, "tasks", 10, "tasks of a service")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *serve {
		if err := beRegistry(ctx, *state); err != nil {
			fmt.Fprintln(os.Stderr, "bench/sandbox:", err)
			os.Exit(1)
		}
		return
	}
	if flag.NArg() > 0 || min(o.runs, o.mb, o.layers, o.services, o.tasks) < 1 {
		flag.Usage()
		os.Exit(2)
	}
	met, err := bench(ctx, os.Stdout, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/sandbox:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

func bench(ctx context.Context, w io.Writer, o options) (bool, error) {
	control, err := benchControl(ctx, w, o) // first: its memory is this process's
	if err != nil {
		return false, err
	}
	registries, err := benchRegistries(ctx, w, o)
	return registries && control, err
}

// verdict is how a goal went.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

// median is the middle one, or the higher of the two in the middle.
func median[T int64 | float64 | time.Duration](all []T) T {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}
