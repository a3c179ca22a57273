// Command push measures weelo-deploy's push against `docker push`: the same image,
// from the same engine, to the same kind of registry on loopback, in pairs.
//
//	go run ./bench/push [-runs 7] [-mb 48] [-layers 4]
//
// Each cold run has a registry of its own that has nothing; the warm run that
// follows pushes the same image there once more. Which side goes first changes from
// pair to pair. What is ours is what the stage push does: tag, push through the
// engine, untag, and the tag that stays. It ends with exit code 1 when the goal is
// missed: at most 1.1 times the median of docker push, plus 200 ms.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
)

// The goal.
const (
	atMost = 1.1
	plus   = 200 * time.Millisecond
)

func main() {
	runs := flag.Int("runs", 7, "paired runs that are measured; one more goes before them")
	mb := flag.Int("mb", 48, "size of the image, in MB, uncompressed")
	layers := flag.Int("layers", 4, "layers of the image")
	flag.Parse()
	if flag.NArg() > 0 || *runs < 1 || *mb < 1 || *layers < 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	met, err := bench(ctx, os.Stdout, *runs, *mb, *layers)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/push:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

// bench runs all pairs and prints what they took.
func bench(ctx context.Context, w io.Writer, runs, mb, layers int) (met bool, err error) {
	e, err := engine.Open(engine.Options{})
	if err != nil {
		return false, err
	}
	defer e.Close()
	info, err := e.Info(ctx)
	if err != nil {
		return false, err
	}
	name, err := load(ctx, e, mb, layers)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, e.RemoveImage(context.WithoutCancel(ctx), name)) }()
	fmt.Fprintf(w, "image: %d MB in %d layers; engine %s, %d processors; registry on loopback\n", mb, layers, info.Version, info.CPUs)
	sides := []side{&ours{e}}
	docker, err := exec.LookPath("docker")
	if err != nil {
		fmt.Fprintln(w, "there is no docker command here: docker push is not measured, and nothing is compared")
	} else {
		sides = append(sides, &theirs{docker})
	}
	took := map[string]*times{}
	for i := range runs + 1 {
		if err := pair(ctx, w, sides, name, i, took); err != nil {
			return false, err
		}
	}
	return report(w, took), nil
}

// times are how long each run of one side took.
type times struct{ cold, warm []time.Duration }

// pair runs each side once, cold and warm. The zeroth pair is not counted: the
// engine learns the layers' digests in it.
func pair(ctx context.Context, w io.Writer, sides []side, name string, i int, took map[string]*times) error {
	order := slices.Clone(sides)
	if i%2 == 1 {
		slices.Reverse(order)
	}
	for _, s := range order {
		cold, warm, err := measure(ctx, s, name)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
		note := fmt.Sprintf("pair %d", i)
		if i == 0 {
			note = "not counted"
		}
		fmt.Fprintf(w, "%-12s %-14s cold %6.3f s   warm %6.3f s\n", note, s.name(), cold.Seconds(), warm.Seconds())
		if i == 0 {
			continue
		}
		if took[s.name()] == nil {
			took[s.name()] = &times{}
		}
		t := took[s.name()]
		t.cold, t.warm = append(t.cold, cold), append(t.warm, warm)
	}
	return nil
}

// measure pushes to a registry of its own, twice.
func measure(ctx context.Context, s side, name string) (cold, warm time.Duration, err error) {
	r, err := serve()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	undo, err := s.prepare(ctx, name, r)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, undo()) }()
	for _, d := range []*time.Duration{&cold, &warm} {
		began := time.Now()
		if err := s.push(ctx, name, r); err != nil {
			return 0, 0, err
		}
		*d = time.Since(began)
	}
	return cold, warm, nil
}

// report prints the medians, and says whether the goal is met. Without a docker
// command there is none.
func report(w io.Writer, took map[string]*times) bool {
	a, b := took[ourName], took[theirName]
	if b == nil {
		fmt.Fprintf(w, "median: cold %.3f s, warm %.3f s\n", median(a.cold).Seconds(), median(a.warm).Seconds())
		return true
	}
	met := true
	for _, k := range []struct {
		name         string
		ours, theirs []time.Duration
	}{{"cold", a.cold, b.cold}, {"warm", a.warm, b.warm}} {
		us, them := median(k.ours), median(k.theirs)
		verdict := "met"
		if !within(us, them) {
			verdict, met = "MISSED", false
		}
		fmt.Fprintf(w, "%s, median of %d pairs: %s %.3f s, %s %.3f s, ratio %.2f, difference %+.3f s; goal (at most %.1f times plus %s): %s\n",
			k.name, len(k.ours), ourName, us.Seconds(), theirName, them.Seconds(), us.Seconds()/them.Seconds(), (us - them).Seconds(), atMost, plus, verdict)
	}
	return met
}

func within(ours, theirs time.Duration) bool {
	return ours <= time.Duration(atMost*float64(theirs))+plus
}

// median is the middle one, or the mean of the two in the middle.
func median(all []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(all))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}
