package balancer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRequestsGoRoundTheHealthyTargets(t *testing.T) {
	w := newWorld(t)
	a, _ := w.target(w.group.ARN, 1, says("a"))
	b, _ := w.target(w.group.ARN, 2, says("b"))
	sick, _ := w.target(w.group.ARN, 3, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) }))
	w.await(w.group.ARN, a, Healthy)
	w.await(w.group.ARN, b, Healthy)
	h := w.await(w.group.ARN, sick, Unhealthy)
	want := TargetHealth{
		ID: "10.0.0.3", Port: 8080, CheckPort: "8080", State: Unhealthy,
		Reason: "Target.ResponseCodeMismatch", Description: "Health checks failed with these codes: [500]",
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"a": 5, "b": 5}, w.texts(10)); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestWithoutATargetTheAnswerIs503(t *testing.T) {
	w := newWorld(t)
	status, body := w.get("/")
	if status != 503 || !strings.Contains(body, "<h1>503 Service Temporarily Unavailable</h1>") {
		t.Errorf("the answer is %d %q", status, body)
	}
	if got := w.counted(w.group.ARN, 1); got.Requests != 1 || got.Failed != 1 || got.Class[5] != 1 {
		t.Errorf("counted %+v, want one failed request", got)
	}
}

func TestWhenNoTargetIsHealthyAllAreTried(t *testing.T) {
	w := newWorld(t)
	h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			rw.WriteHeader(404)
		}
	})
	a, _ := w.target(w.group.ARN, 1, h)
	w.await(w.group.ARN, a, Unhealthy)
	w.wantStatus(200)
}

func TestATargetThatRefusesIsA502AndASilentOneA504(t *testing.T) {
	w := newWorld(t)
	dead := Target{ID: "10.0.0.9", Port: 8080, Reach: map[int]string{8080: closedPort(t)}}
	if err := w.Register(w.group.ARN, dead); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(502)
	if h := w.await(w.group.ARN, dead, Unhealthy); h.Reason != "Target.FailedHealthChecks" || h.Description != "Health checks failed" {
		t.Errorf("a target that refuses is %+v", h)
	}
	if err := w.Deregister(w.group.ARN, dead); err != nil {
		t.Fatal(err)
	}
	w.balancerOf(w.lb.ARN).idle.set(50 * time.Millisecond)
	w.target(w.group.ARN, 1, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			<-r.Context().Done()
		}
	}))
	w.wantStatus(504)
	if got := w.counted(w.group.ARN, 2); got.Failed != 2 || got.Class[5] != 2 {
		t.Errorf("counted %+v, want two failed requests", got)
	}
}

func TestATargetOutsideOfThisMachineIsNotDialled(t *testing.T) {
	w := newWorld(t)
	far := Target{ID: "192.0.2.1", Port: 8080}
	if err := w.Register(w.group.ARN, far); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(502)
	w.await(w.group.ARN, far, Unhealthy)
}

func TestADrainingTargetFinishesWhatItDoesAndGetsNothingNew(t *testing.T) {
	w := newWorld(t)
	if err := w.SetAttributes(w.group.ARN, map[string]string{DeregistrationDelay: "60"}); err != nil {
		t.Fatal(err)
	}
	entered, finish := make(chan struct{}), make(chan struct{})
	old, _ := w.target(w.group.ARN, 1, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-finish
		}
		_, _ = io.WriteString(rw, "old")
	}))
	w.await(w.group.ARN, old, Healthy)
	answered := make(chan string)
	go func() {
		_, body := w.get("/slow")
		answered <- body
	}()
	<-entered
	if err := w.Deregister(w.group.ARN, old); err != nil {
		t.Fatal(err)
	}
	h := w.await(w.group.ARN, old, Draining)
	if h.Reason != "Target.DeregistrationInProgress" || h.InFlight != 1 {
		t.Errorf("while it drains the target is %+v", h)
	}
	w.wantStatus(503)
	next, _ := w.target(w.group.ARN, 2, says("new"))
	w.await(w.group.ARN, next, Healthy)
	if diff := cmp.Diff(map[string]int{"new": 4}, w.texts(4)); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	w.until("the divided delay to end", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.Balancer.group(w.group.ARN).targets[0].over
	})
	if h := w.await(w.group.ARN, old, Draining); h.InFlight != 1 {
		t.Errorf("with a request under way the target is %+v", h)
	}
	close(finish)
	if got := <-answered; got != "old" {
		t.Errorf("the request under way was answered %q", got)
	}
	if h := w.await(w.group.ARN, old, Unused); h.Reason != "Target.NotRegistered" {
		t.Errorf("after the delay the target is %+v", h)
	}
}

func TestWeightsShareTrafficOutEvenly(t *testing.T) {
	w := newWorld(t)
	green := w.newGroup("green")
	a, _ := w.target(w.group.ARN, 1, says("blue"))
	w.await(w.group.ARN, a, Healthy)
	b, _ := w.target(green.ARN, 2, says("green"))
	if h, err := w.Target(green.ARN, b.ID, b.Port); err != nil || h.State != Unused || h.Reason != "Target.NotInUse" {
		t.Errorf("without a rule a target is %+v, %v", h, err)
	}
	for _, step := range []struct{ blue, green int }{{90, 10}, {50, 50}, {0, 100}} {
		if err := w.SetWeights(w.listener.ARN, map[string]int{w.group.ARN: step.blue, green.ARN: step.green}); err != nil {
			t.Fatal(err)
		}
		w.await(green.ARN, b, Healthy)
		want := map[string]int{"blue": step.blue / 5, "green": step.green / 5}
		if step.blue == 0 {
			delete(want, "blue")
		}
		if diff := cmp.Diff(want, w.texts(20)); diff != "" {
			t.Errorf("with weights %v (-want +got):\n%s", step, diff)
		}
	}
	wantError(t, w.SetWeights("arn:no", nil), "RuleNotFound")
	wantError(t, w.SetWeights(w.listener.ARN, map[string]int{"arn:none": 1}), "TargetGroupNotFound")
}

func TestTargetsAreToldWhoAsks(t *testing.T) {
	w := newWorld(t)
	seen := make(chan http.Header, 1)
	a, _ := w.target(w.group.ARN, 1, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			r.Header.Set("Host", r.Host)
			r.Header.Set("Query", r.URL.RawQuery)
			seen <- r.Header
		}
	}))
	w.await(w.group.ARN, a, Healthy)
	req, _ := http.NewRequest(http.MethodGet, "http://"+w.address()+"/x?a=1;b=2", nil)
	req.Host = "shop.example.com"
	req.Header.Set("X-Forwarded-For", "203.0.113.7")
	resp := must[*http.Response](t)(w.client.Do(req))
	resp.Body.Close()
	h := <-seen
	for name, want := range map[string]string{
		"Host": "shop.example.com", "Query": "a=1;b=2", "X-Forwarded-For": "203.0.113.7, 127.0.0.1",
		"X-Forwarded-Proto": "http", "X-Forwarded-Port": "80",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(h.Get("X-Amzn-Trace-Id"), "Root=1-") {
		t.Errorf("X-Amzn-Trace-Id is %q", h.Get("X-Amzn-Trace-Id"))
	}
}

func TestAConnectionThatATargetClosedWhileIdleIsNoFailure(t *testing.T) {
	w := newWorld(t)
	a, s := w.target(w.group.ARN, 1, says("ok"))
	w.await(w.group.ARN, a, Healthy)
	for range 20 {
		w.wantStatus(200)
		s.CloseClientConnections()
	}
}

func TestAnAnswerThatBreaksOffIsCountedAsFailed(t *testing.T) {
	w := newWorld(t)
	a, _ := w.target(w.group.ARN, 1, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			return
		}
		_, _ = io.WriteString(rw, "half")
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	}))
	w.await(w.group.ARN, a, Healthy)
	resp := must[*http.Response](t)(w.client.Get("http://" + w.address()))
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the client was not told that the answer broke off")
	}
	if got := w.counted(w.group.ARN, 1); got.Failed != 1 || got.Class[2] != 1 {
		t.Errorf("counted %+v, want one failed answer that began with 200", got)
	}
}

func TestWebSocketsPass(t *testing.T) {
	w := newWorld(t)
	a, _ := w.target(w.group.ARN, 1, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		conn, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		fmt.Fprint(conn, "you said "+line)
	}))
	w.await(w.group.ARN, a, Healthy)
	conn := must[net.Conn](t)(net.Dial("tcp", w.address()))
	defer conn.Close()
	fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	resp := must[*http.Response](t)(http.ReadResponse(in, nil))
	if resp.StatusCode != 101 {
		t.Fatalf("the upgrade is answered %d", resp.StatusCode)
	}
	fmt.Fprint(conn, "hello\n")
	if line, err := in.ReadString('\n'); line != "you said hello\n" {
		t.Errorf("read %q, %v", line, err)
	}
}

func TestAnswersAreNotHeldBack(t *testing.T) {
	w := newWorld(t)
	more := make(chan struct{})
	a, _ := w.target(w.group.ARN, 1, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			return
		}
		fmt.Fprintln(rw, "first")
		_ = http.NewResponseController(rw).Flush()
		<-more
		fmt.Fprintln(rw, "second")
	}))
	w.await(w.group.ARN, a, Healthy)
	resp := must[*http.Response](t)(w.client.Get("http://" + w.address()))
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" {
		t.Errorf("read %q, %v before the answer is complete", line, err)
	}
	close(more)
	if line, err := lines.ReadString('\n'); line != "second\n" {
		t.Errorf("read %q, %v", line, err)
	}
}

func TestAClientThatLeavesIsNoFailure(t *testing.T) {
	w := newWorld(t)
	entered, left := make(chan struct{}), make(chan struct{})
	a, _ := w.target(w.group.ARN, 1, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			close(entered)
			<-r.Context().Done()
			close(left)
		}
	}))
	w.await(w.group.ARN, a, Healthy)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.address(), nil)
	go func() { <-entered; cancel() }()
	if resp, err := w.client.Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("the request succeeded")
	}
	<-left
	if got := w.counted(w.group.ARN, 1); got.Failed != 0 {
		t.Errorf("counted %+v, want no failure", got)
	}
}
