//go:build unix

// Command scan measures the scan of images: how fast it reads the layers of a
// root file system made from this machine's own files, against what it takes
// merely to decompress and read the same layers, and how much memory it needs.
//
// Both are run in turns, each in a process of its own, over the same files in
// the page cache; the medians are printed. It exits with 1 when the scan takes
// more than 1.5 times as long, when it needs 100 MB or more, or when it finds an
// error in a system that evidently works. "plain" is a saved image that is a
// file, where the scan skips what it need not see; "stream" is what an engine
// sends, through a pipe. For zstd the limit is 2 times: layers that are packed
// are held against their diff ids, and zstd unpacks about as fast as SHA-256
// runs.
//
//	go run ./bench/scan [-runs 5] [-size 700] [-form gzip,zstd,plain,stream]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Goals that the command holds the scan against.
const (
	maxRatio  = 1.5
	maxSlack  = 2.0   // of zstd
	maxMemory = 100.0 // MB
)

// forms are the ways in which an image can come.
var forms = []string{"gzip", "zstd", "plain", "stream"}

func goal(form string) float64 {
	if form == "zstd" {
		return maxSlack
	}
	return maxRatio
}

func main() {
	runs := flag.Int("runs", 5, "how often each is measured")
	size := flag.Int64("size", 700, "least size of the root file system, uncompressed MB")
	form := flag.String("form", strings.Join(forms, ","), "forms to measure")
	work := flag.String("work", "", "what to do in a process of its own: scan or read (used by the command itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *work != "" {
		err = child(ctx, *work, flag.Arg(0), flag.Arg(1))
	} else {
		err = compare(ctx, *runs, *size<<20, strings.Split(*form, ","))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/scan:", err)
		os.Exit(1)
	}
}

// compare makes the image and measures every form.
func compare(ctx context.Context, runs int, size int64, forms []string) error {
	dir, err := os.MkdirTemp("", "weelo-deploy-bench-*")
	if err != nil {
		return fmt.Errorf("make a folder for the image: %w", err)
	}
	defer os.RemoveAll(dir)
	img, err := makeImage(ctx, dir, size)
	if err != nil {
		return fmt.Errorf("make an image of this machine's files: %w", err)
	}
	fmt.Printf("%d layers, %d files, %.0f MB uncompressed\n", len(img.Layers), img.Files, float64(img.Bytes)/1e6)
	fmt.Printf("%-7s %10s %10s %7s %12s %9s\n", "form", "read", "scan", "ratio", "scan", "memory")
	var errs []error
	for _, f := range forms {
		if err := img.pack(ctx, f); err != nil {
			return fmt.Errorf("pack the layers: %w", err)
		}
		errs = append(errs, measure(ctx, dir, f, runs, img.Bytes))
	}
	return errors.Join(errs...)
}

// sample is one process's answer.
type sample struct {
	Seconds  float64
	Errors   int
	Binaries int
	memory   float64 // MB, the most that it had
}

func measure(ctx context.Context, dir, form string, runs int, bytes int64) error {
	var read, scan []sample
	for range runs {
		for _, w := range []struct {
			work string
			to   *[]sample
		}{{"read", &read}, {"scan", &scan}} {
			s, err := run(ctx, w.work, dir, form)
			if err != nil {
				return fmt.Errorf("%s %s: %w", w.work, form, err)
			}
			*w.to = append(*w.to, s)
		}
	}
	r, s := median(read), median(scan)
	most := slices.MaxFunc(scan, func(a, b sample) int { return int(a.memory - b.memory) }).memory
	ratio := s.Seconds / r.Seconds
	fmt.Printf("%-7s %8.3f s %8.3f s %7.2f %7.0f MB/s %6.0f MB   %d binaries, %d errors\n", form, r.Seconds, s.Seconds, ratio, float64(bytes)/1e6/s.Seconds, most, s.Binaries, s.Errors)
	var errs []error
	if ratio > goal(form) {
		errs = append(errs, fmt.Errorf("%s: the scan takes %.2f times as long as reading, the goal is %.1f", form, ratio, goal(form)))
	}
	if most >= maxMemory {
		errs = append(errs, fmt.Errorf("%s: the scan needs %.0f MB, the goal is less than %.0f", form, most, maxMemory))
	}
	if s.Errors > 0 {
		errs = append(errs, fmt.Errorf("%s: %d errors in a system that works", form, s.Errors))
	}
	return errors.Join(errs...)
}

func median(all []sample) sample {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b sample) int {
		if a.Seconds < b.Seconds {
			return -1
		}
		return 1
	})
	return all[len(all)/2]
}

// run does the work in a process of its own, whose memory the kernel counts.
func run(ctx context.Context, work, dir, form string) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-work", work, dir, form)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return sample{}, err
	}
	var s sample
	if err := json.Unmarshal(out, &s); err != nil {
		return sample{}, fmt.Errorf("decode what it measured: %w", err)
	}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.memory = float64(u.Maxrss) / 1e3 // KB on Linux
	}
	return s, nil
}

// child measures one reading or scanning and prints a sample.
func child(ctx context.Context, work, dir, form string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "image.json"))
	if err != nil {
		return err
	}
	var img image
	if err := json.Unmarshal(raw, &img); err != nil {
		return fmt.Errorf("decode image.json: %w", err)
	}
	img.Dir = dir
	began, s := time.Now(), sample{}
	if work == "scan" {
		s, err = img.scan(ctx, form)
	} else {
		err = img.read(ctx, form)
	}
	if err != nil {
		return err
	}
	s.Seconds = time.Since(began).Seconds()
	return json.NewEncoder(os.Stdout).Encode(s)
}
