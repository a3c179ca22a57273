// Command watch measures how long a broken release lasts: from the first task that
// stopped, as the API shows it, to the rollback, and to the service being healthy
// on its stable revision again.
//
//	go run ./bench/watch [-speed 5]
//
// Three sides do the same: weelo-deploy, ECS's circuit breaker alone with its default
// threshold, and with a threshold of one task. Each has a sandbox of its own with
// the same service, image and script, and all of them run at the same time. An
// observer of its own asks the API every 25 ms; when weelo-deploy calls the rollback
// is noted at the call. The containers are scripted, the waiting times are those of
// AWS divided by the speed, and weelo-deploy polls at its usual pace, which is not
// divided. It ends with exit code 1 when a goal is missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	speed := flag.Float64("speed", 5, "divides AWS's waiting times")
	flag.Parse()
	if flag.NArg() > 0 || *speed <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	met, err := bench(ctx, os.Stdout, *speed)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/watch:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

// bench measures every case on every side, all at the same time.
func bench(ctx context.Context, w io.Writer, speed float64) (met bool, err error) {
	fmt.Fprintf(w, "sandbox at speed %g, scripted containers, one task, minimumHealthyPercent 100, maximumPercent 200; seconds from the first stopped task\n", speed)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([][]times, len(cases))
	var all sync.WaitGroup
	for i, c := range cases {
		took[i] = make([]times, len(sides))
		for j, s := range sides {
			all.Go(func() {
				var err error
				if took[i][j], err = measure(ctx, speed, c, s); err != nil {
					cancel(fmt.Errorf("%s, %s: %w", c.name, s.name, err))
				}
			})
		}
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	return report(w, took), nil
}
