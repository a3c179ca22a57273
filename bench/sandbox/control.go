package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

const target = "AmazonEC2ContainerServiceV20141113."

// control is a sandbox that is called as by the AWS command line, without the SDK's
// own time.
type control struct{ *sandbox.Server }

// benchControl deploys to all services at once, and asks meanwhile.
func benchControl(ctx context.Context, w io.Writer, o options) (met bool, err error) {
	s, err := sandbox.Start(ctx, sandbox.Config{Listen: "127.0.0.1:0", Speed: 20, Runtime: scripted.New()})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	c := control{s}
	fmt.Fprintf(w, "control plane: %d services of %d scripted tasks\n", o.services, o.tasks)
	if err := c.create(ctx, o); err != nil {
		return false, err
	}
	if err := c.settle(ctx, o); err != nil {
		return false, err
	}
	if err := c.deploy(ctx, o); err != nil {
		return false, err
	}
	ten, one, answer, err := c.ask(ctx, o)
	if err != nil {
		return false, err
	}
	plain, err := echo(ctx, answer, len(ten))
	if err != nil {
		return false, err
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	quick, small := median(one) < mostMedian && median(ten) < mostMedian, m.HeapAlloc < mostHeap && m.Sys < mostHeap
	fmt.Fprintf(w, "DescribeServices while all deploy, %d calls: one service median %s, slowest %s; ten services median %s, slowest %s; goal (median under %s): %s\n",
		len(one), median(one), slices.Max(one), median(ten), slices.Max(ten), mostMedian, verdict(quick))
	fmt.Fprintf(w, "  a plain server with an answer of the same %d bytes: median %s; ratio %.1f\n", len(answer), median(plain), float64(median(ten))/float64(median(plain)))
	fmt.Fprintf(w, "memory: %d MB of heap in use, %d MB from the system; goal (under %d MB): %s\n", m.HeapAlloc>>20, m.Sys>>20, mostHeap>>20, verdict(small))
	return quick && small, nil
}

// call makes an API call and gives its answer.
func (c control) call(ctx context.Context, operation string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL()+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Amz-Target", target+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	return do(r)
}

func do(r *http.Request) ([]byte, error) {
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d %s", r.Header.Get("X-Amz-Target"), answer.StatusCode, b)
	}
	return b, err
}

type object = map[string]any

func serviceName(i int) string { return fmt.Sprint("service-", i) }

func (c control) create(ctx context.Context, o options) error {
	if err := c.Images().CreateRepository("web", false); err != nil {
		return err
	}
	if _, err := c.Images().PutTiny("web", "v1", map[string][]byte{"app": nil}, registry.TinyConfig{}); err != nil {
		return err
	}
	if _, err := c.call(ctx, "CreateCluster", object{"clusterName": "c"}); err != nil {
		return err
	}
	_, err := c.call(ctx, "RegisterTaskDefinition", object{"family": "web", "containerDefinitions": []object{
		{"name": "app", "image": c.Registry() + "/web:v1", "memory": 64, "environment": []object{{"name": "A", "value": "b"}}}}})
	for i := 0; i < o.services && err == nil; i++ {
		_, err = c.call(ctx, "CreateService", object{"cluster": "c", "serviceName": serviceName(i), "taskDefinition": "web", "desiredCount": o.tasks})
	}
	return err
}

// settle waits until every service runs its tasks.
func (c control) settle(ctx context.Context, o options) error {
	for i := range o.services {
		for {
			raw, err := c.call(ctx, "DescribeServices", object{"cluster": "c", "services": []string{serviceName(i)}})
			if err != nil {
				return err
			}
			var out struct {
				Services []struct {
					RunningCount int
					Deployments  []struct{ RolloutState string }
				}
			}
			if err := json.Unmarshal(raw, &out); err != nil {
				return err
			}
			if s := out.Services[0]; s.RunningCount == o.tasks && len(s.Deployments) == 1 && s.Deployments[0].RolloutState == "COMPLETED" {
				break
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

func (c control) deploy(ctx context.Context, o options) error {
	for i := range o.services {
		if _, err := c.call(ctx, "UpdateService", object{"cluster": "c", "service": serviceName(i), "forceNewDeployment": true}); err != nil {
			return err
		}
	}
	return nil
}

// ask describes one service and ten, in turns, for as long as the deployments go on
// and at most 400 times.
func (c control) ask(ctx context.Context, o options) (ten, one []time.Duration, answer []byte, err error) {
	for i := range 400 {
		began := time.Now()
		if _, err = c.call(ctx, "DescribeServices", object{"cluster": "c", "services": []string{serviceName(i % o.services)}}); err != nil {
			return nil, nil, nil, err
		}
		one = append(one, time.Since(began))
		var names []string
		for n := range min(10, o.services) {
			names = append(names, serviceName((i+n)%o.services))
		}
		began = time.Now()
		if answer, err = c.call(ctx, "DescribeServices", object{"cluster": "c", "services": names}); err != nil {
			return nil, nil, nil, err
		}
		ten = append(ten, time.Since(began))
		if i >= 20 && !bytes.Contains(answer, []byte("IN_PROGRESS")) {
			break
		}
	}
	return ten, one, answer, nil
}

// echo is how long a server takes that only reads a request and sends an answer.
func echo(ctx context.Context, answer []byte, calls int) (took []time.Duration, err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var failed atomic.Pointer[error]
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in object
		err := json.NewDecoder(r.Body).Decode(&in)
		if err == nil {
			_, err = w.Write(answer)
		}
		if err != nil {
			failed.Store(&err)
		}
	})}
	go func() { _ = server.Serve(l) }() // it ends with Close
	defer func() { err = errors.Join(err, server.Close()) }()
	for range calls {
		began := time.Now()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.Addr().String(), bytes.NewReader([]byte(`{"cluster":"c"}`)))
		if err != nil {
			return nil, err
		}
		if _, err := do(r); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	if e := failed.Load(); e != nil {
		return nil, *e
	}
	return took, nil
}
