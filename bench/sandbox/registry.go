package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// repository is where layers are pushed to.
const repository = "bench"

// layer is random bytes, made anew for every push by their seed.
type layer struct {
	seed   byte
	size   int64
	digest string
}

func (l layer) open() io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{l.seed}), l.size)
}

func benchRegistries(ctx context.Context, w io.Writer, o options) (met bool, err error) {
	dir, err := os.MkdirTemp("", "bench-sandbox-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	sides := []*side{ours("sandbox", ""), ours("sandbox --state", filepath.Join(dir, "state"))}
	peer, why := debian(ctx, dir)
	if peer == nil {
		fmt.Fprintf(w, "docker-registry is not measured, and nothing is compared: %v\n", why)
	} else {
		sides = append(sides, peer)
	}
	for _, s := range sides {
		if err := s.start(ctx); err != nil {
			return false, fmt.Errorf("%s: %w", s.name, err)
		}
		defer func() { err = errors.Join(err, s.stop()) }()
	}
	fmt.Fprintf(w, "registries on loopback: images of %d MB in %d layers of random bytes\n", o.mb, o.layers)
	for i := range o.runs + 1 {
		layers, err := newLayers(o, byte(i+1))
		if err != nil {
			return false, err
		}
		for j := range sides {
			s := sides[(i+j)%len(sides)] // each goes first in turn
			if err := s.run(ctx, w, layers, i); err != nil {
				return false, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return reportRegistries(w, sides), nil
}

func newLayers(o options, run byte) ([]layer, error) {
	var list []layer
	for n := range o.layers {
		l := layer{seed: run*16 + byte(n), size: int64(o.mb) * 1_000_000 / int64(o.layers)}
		sum := sha256.New()
		if _, err := io.Copy(sum, l.open()); err != nil {
			return nil, err
		}
		l.digest = fmt.Sprintf("sha256:%x", sum.Sum(nil))
		list = append(list, l)
	}
	return list, nil
}

// run pushes and pulls an image's layers, one after another. The zeroth run is not
// counted.
func (s *side) run(ctx context.Context, w io.Writer, layers []layer, i int) error {
	var total int64
	var contents [][]byte
	for _, l := range layers {
		total += l.size
		b, err := io.ReadAll(l.open()) // before the clock runs: making it costs more than sending it
		if err != nil {
			return err
		}
		contents = append(contents, b)
	}
	began := time.Now()
	for n, l := range layers {
		if err := s.push(ctx, l, contents[n]); err != nil {
			return fmt.Errorf("push: %w", err)
		}
	}
	pushed := time.Now()
	for _, l := range layers {
		if err := s.pull(ctx, l); err != nil {
			return fmt.Errorf("pull: %w", err)
		}
	}
	rate := func(d time.Duration) float64 { return float64(total) / 1e6 / d.Seconds() }
	push, pull := rate(pushed.Sub(began)), rate(time.Since(pushed))
	note := fmt.Sprintf("run %d", i)
	if i == 0 {
		note = "not counted"
	} else {
		s.pushes, s.pulls = append(s.pushes, push), append(s.pulls, pull)
	}
	fmt.Fprintf(w, "%-12s %-16s push %6.0f MB/s   pull %6.0f MB/s\n", note, s.name, push, pull)
	return nil
}

// push sends a layer as docker does: POST, PATCH, PUT.
func (s *side) push(ctx context.Context, l layer, content []byte) error {
	begun, err := s.ask(ctx, http.MethodPost, s.url+"/v2/"+repository+"/blobs/uploads/", nil, http.StatusAccepted)
	if err != nil {
		return err
	}
	sent, err := s.ask(ctx, http.MethodPatch, s.absolute(begun), bytes.NewReader(content), http.StatusAccepted)
	if err != nil {
		return err
	}
	at := s.absolute(sent)
	mark := "?"
	if strings.Contains(at, "?") {
		mark = "&"
	}
	_, err = s.ask(ctx, http.MethodPut, at+mark+"digest="+l.digest, nil, http.StatusCreated)
	return err
}

func (s *side) pull(ctx context.Context, l layer) error {
	_, err := s.ask(ctx, http.MethodGet, s.url+"/v2/"+repository+"/blobs/"+l.digest, nil, http.StatusOK)
	return err
}

// absolute is a location with its host.
func (s *side) absolute(location string) string {
	if strings.HasPrefix(location, "/") {
		return s.url + location
	}
	return location
}

// ask makes a request, reads its answer to the end and gives where it points.
func (s *side) ask(ctx context.Context, method, url string, body io.Reader, want int) (location string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return "", err
	}
	if s.user != "" {
		r.SetBasicAuth(s.user, s.password)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return "", err
	}
	if answer.StatusCode != want {
		return "", fmt.Errorf("%s %s answers %d, not %d", method, url, answer.StatusCode, want)
	}
	return answer.Header.Get("Location"), nil
}

// ratios compare run by run: what else the machine does changes from one to the next.
func ratios(ours, theirs []float64) []float64 {
	var all []float64
	for i := range ours {
		all = append(all, ours[i]/theirs[i])
	}
	return all
}

// reportRegistries prints the medians and the peaks, and says whether the goals are
// met.
func reportRegistries(w io.Writer, sides []*side) bool {
	var peer *side
	for _, s := range sides {
		if s.user == "" {
			peer = s
		}
	}
	met := true
	for _, s := range sides {
		push, pull := median(s.pushes), median(s.pulls)
		fmt.Fprintf(w, "%s, median of %d runs: push %.0f MB/s, pull %.0f MB/s; peak %d MB resident\n", s.name, len(s.pushes), push, pull, s.peak()>>20)
		if s == peer {
			continue
		}
		small := s.peak() < mostResident
		met = met && small
		fmt.Fprintf(w, "  goal (under %d MB resident): %s\n", mostResident>>20, verdict(small))
		if peer == nil {
			continue
		}
		ratio := median(ratios(s.pushes, peer.pushes))
		met = met && ratio >= leastRatio
		fmt.Fprintf(w, "  against %s, median of pairs: push ratio %.2f; goal (at least %.1f): %s; pull ratio %.2f\n",
			peer.name, ratio, leastRatio, verdict(ratio >= leastRatio), median(ratios(s.pulls, peer.pulls)))
	}
	return met
}
