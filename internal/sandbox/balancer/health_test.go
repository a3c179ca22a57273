package balancer

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestThresholdsDecideOnHealth(t *testing.T) {
	check := HealthCheck{Healthy: 3, Unhealthy: 2}
	for _, c := range []struct {
		name, from, outcomes, want string // outcomes: + passed, - failed
	}{
		{"one success makes a new target healthy", Initial, "+", Healthy},
		{"one failure says nothing of a new target", Initial, "-", Initial},
		{"a new target that fails is unhealthy after its threshold", Initial, "--", Unhealthy},
		{"failures that are not in a row do not count", Healthy, "-+-+-", Healthy},
		{"a healthy target becomes unhealthy", Healthy, "--", Unhealthy},
		{"an unhealthy target needs its successes in a row", Unhealthy, "++-++", Unhealthy},
		{"an unhealthy target becomes healthy", Unhealthy, "+++", Healthy},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := &target{state: c.from}
			for _, o := range c.outcomes {
				v := failed("Target.Timeout")
				if o == '+' {
					v = verdict{ok: true}
				}
				target.note(v, check)
			}
			if target.state != c.want {
				t.Errorf("after %s a target that was %s is %s, want %s", c.outcomes, c.from, target.state, c.want)
			}
			if (target.state == Unhealthy && c.from != Unhealthy) != (target.description == "Request timed out" && c.from != Unhealthy) {
				t.Errorf("its description is %q", target.description)
			}
		})
	}
}

func TestMatchersAreCodesRangesAndLists(t *testing.T) {
	for _, c := range []struct {
		matcher string
		status  int
		want    bool
	}{
		{"200", 200, true}, {"200", 204, false}, {"200-399", 302, true}, {"200-399", 404, false}, {"200,302", 302, true}, {"200, 202-204", 203, true},
	} {
		if got := matches(c.matcher, c.status); got != c.want {
			t.Errorf("matches(%q, %d) = %v", c.matcher, c.status, got)
		}
	}
}

func TestASlowTargetIsUnhealthyByItsTimeout(t *testing.T) {
	b := New(Config{})
	t.Cleanup(func() { _ = b.Close() })
	l := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	defer l.Close()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String(), nil)
	_, err := b.checks.Do(req)
	if v := unreachable(err); v.reason != "Target.Timeout" || v.description != "Request timed out" {
		t.Errorf("a check that times out is %+v (%v)", v, err)
	}
}

func TestPatternsMatchWithStarsAndQuestionMarks(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"/api/*", "/api/v1/x", true}, {"/api/*", "/apis", false}, {"*.example.com", "shop.example.com", true},
		{"/a?c", "/abc", true}, {"/a?c", "/ac", false}, {"*", "", true}, {"", "x", false}, {"/a*b*c", "/axxbyyc", true}, {"/a*b*c", "/axxbyy", false},
	} {
		if got := like(c.pattern, c.text); got != c.want {
			t.Errorf("like(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}

func TestRulesAreTriedByTheirPriority(t *testing.T) {
	w := newWorld(t)
	a, _ := w.target(w.group.ARN, 1, says("app"))
	w.await(w.group.ARN, a, Healthy)
	for _, r := range []Rule{
		{Priority: 20, Conditions: []Condition{{Field: pathPattern, Values: []string{"/*"}}, {Field: method, Values: []string{"POST"}}},
			Actions: []Action{{Type: FixedResponse, Status: "405", Message: "no"}}},
		{Priority: 10, Conditions: []Condition{{Field: queryString, Query: []Pair{{"old", "*"}}}},
			Actions: []Action{{Type: Redirect, Status: "HTTP_302", Path: "/new/#{path}", Port: "8443", Protocol: "HTTPS"}}},
		{Priority: 30, Conditions: []Condition{{Field: httpHeader, Header: "X-Test", Values: []string{"y*"}}, {Field: sourceIP, Values: []string{"127.0.0.0/8"}}},
			Actions: []Action{{Type: FixedResponse, Status: "200", Message: "test"}}},
	} {
		r.Listener = w.listener.ARN
		must[Rule](t)(w.CreateRule(r))
	}
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, c := range []struct {
		method, path, header string
		status               int
		location             string
	}{
		{"GET", "/", "", 200, ""}, {"POST", "/", "", 405, ""}, {"GET", "/", "yes", 200, ""},
		{"GET", "/x?old=1", "", 302, "https://127.0.0.1:8443/new/x?old=1"},
	} {
		req, _ := http.NewRequest(c.method, "http://"+w.address()+c.path, nil)
		req.Header.Set("X-Test", c.header)
		resp := must[*http.Response](t)(w.client.Do(req))
		resp.Body.Close()
		if resp.StatusCode != c.status || resp.Header.Get("Location") != c.location {
			t.Errorf("%s %s (%s) is answered %d, to %q", c.method, c.path, c.header, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
}

func TestAListenerWhosePortIsTakenHasAnother(t *testing.T) {
	w := newWorld(t)
	taken := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	must[Listener](t)(w.CreateListener(Listener{LoadBalancer: w.lb.ARN, Protocol: "HTTP", Port: port, Default: w.listener.Default}))
	for _, l := range w.Status()[0].Listeners {
		if l.Port == port && (l.Address == taken.Addr().String() || !strings.HasPrefix(l.Address, "127.0.0.1:")) {
			t.Errorf("the listener is at %s", l.Address)
		}
	}
}

func TestALoadBalancerAnswersToItsNameOnAnotherListener(t *testing.T) {
	w := newWorld(t)
	must[Listener](t)(w.CreateListener(Listener{LoadBalancer: w.lb.ARN, Protocol: "HTTP", Port: 9000, Default: w.listener.Default}))
	name := w.lb.DNSName
	for host, port := range map[string]int{name: 80, name + ":8477": 80, "9000." + name + ":8477": 9000, "1." + name: 0, "127.0.0.1:8477": 0, "other.elb.localhost": 0} {
		h := w.Handler(host)
		got := 0
		if p, ok := h.(*proxy); ok {
			got = p.l.Port
		}
		if got != port || port == 0 && h != nil {
			t.Errorf("%s is answered by the listener at port %d, want %d", host, got, port)
		}
	}
}

func TestANetworkLoadBalancerCarriesConnections(t *testing.T) {
	w := newWorld(t)
	lb := must[LoadBalancer](t)(w.CreateLoadBalancer(LoadBalancer{Name: "tcp", Type: Network}))
	g := must[TargetGroup](t)(w.CreateTargetGroup(TargetGroup{Name: "tcp", Protocol: "TCP", Port: 8080, TargetType: "ip"}))
	must[Listener](t)(w.CreateListener(Listener{LoadBalancer: lb.ARN, Protocol: "TCP", Port: 5432, Default: []Action{{Type: Forward, Groups: []Weighted{{g.ARN, 1}}}}}))
	target, _ := w.target(g.ARN, 1, says("through"))
	w.await(g.ARN, target, Healthy)
	resp := must[*http.Response](t)(w.client.Get("http://" + w.Status()[1].Listeners[0].Address))
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ContentLength != int64(len("through")) {
		t.Errorf("through the network load balancer the answer is %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
	w.client.CloseIdleConnections()
	if got := w.counted(g.ARN, 1); got.Failed != 0 {
		t.Errorf("counted %+v", got)
	}
}

func TestTrafficIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	b := &Balancer{traffic: newTraffic(func() time.Time { return now })}
	for range 3 * keptSeconds {
		now = now.Add(time.Second)
		b.traffic.note("g", "t", 200, false)
	}
	for i := range 2 * keptKeys {
		b.traffic.note("g", strconv.Itoa(i), 503, true)
	}
	got := b.Traffic()
	if len(got.Seconds) != keptSeconds || len(got.Totals) != keptKeys+1 {
		t.Errorf("%d seconds and %d totals are kept", len(got.Seconds), len(got.Totals))
	}
	sum := 0
	for _, c := range got.Totals {
		sum += c.Requests
	}
	if want := 3*keptSeconds + 2*keptKeys; sum != want {
		t.Errorf("%d requests were counted, want %d", sum, want)
	}
}

func TestANewTargetIsLetAloneForAnInterval(t *testing.T) {
	for _, c := range []struct {
		name  string
		speed float64
		want  time.Duration
	}{
		{"as on AWS", 1, 10 * time.Second},
		{"divided by the speed", 20, 500 * time.Millisecond},
		{"never shorter than a process needs", 1000, 250 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := New(Config{Speed: c.speed, Settle: 250 * time.Millisecond})
			t.Cleanup(func() { _ = b.Close() })
			if got := b.firstPause(&group{TargetGroup: TargetGroup{Check: HealthCheck{Interval: 10}}}); got != c.want {
				t.Errorf("its first check comes after %s, want %s", got, c.want)
			}
		})
	}
}

func TestANewTargetIsNotCheckedSoonerBecauseItsGroupChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{Settle: time.Hour})
		g := &group{TargetGroup: TargetGroup{Check: HealthCheck{Interval: 10, Unhealthy: 1}}}
		unreached := &target{Target: Target{ID: "10.0.0.1"}, state: Initial, gone: make(chan struct{}), wake: make(chan struct{}, 1)}
		b.work.Go(func() { b.watch(g, unreached) })
		state := func() string {
			b.mu.Lock()
			defer b.mu.Unlock()
			return unreached.state
		}
		unreached.poke()
		synctest.Wait()
		if got := state(); got != Initial {
			t.Errorf("as its group changes it is %s", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := state(); got != Unhealthy {
			t.Errorf("after its first check it is %s", got)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}
