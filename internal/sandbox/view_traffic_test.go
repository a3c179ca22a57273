package sandbox

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/page"
)

func TestTraffic_isToldByGroupAndRevision(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(second int, counts ...balancer.Counts) balancer.Second {
		return balancer.Second{At: begin.Add(time.Duration(second) * time.Second), Counts: counts}
	}
	counts := func(target string, requests int, class ...int) balancer.Counts {
		c := balancer.Counts{Group: "blue", Target: target, Requests: requests}
		copy(c.Class[:], class)
		return c
	}
	revisions := map[cluster.Target]string{{Group: "blue", ID: "10.0.0.1", Port: 80}: "web:27", {Group: "blue", ID: "10.0.0.2", Port: 80}: "web:37", {Group: "blue", ID: "10.0.0.3", Port: 80}: "web:27"}
	broken := counts("10.0.0.2:80", 3, 0, 0, 3)
	broken.Failed = 2
	got := countSeconds(balancer.Traffic{Seconds: []balancer.Second{
		at(-60, counts("10.0.0.1:80", 100)), // a minute ago
		at(-59, counts("10.0.0.1:80", 5, 0, 0, 4, 0, 0, 1), counts("10.0.0.3:80", 1)),
		at(0, broken, counts("", 2, 0, 0, 0, 0, 0, 2)),
	}}, begin.Unix(), revisions)
	seconds := func(i int, s page.Second) []page.Second {
		list := make([]page.Second, drawnSeconds)
		list[i] = s
		return list
	}
	want := map[string]map[string][]page.Second{"blue": {
		"web:27": seconds(0, page.Second{Good: 5, Failed: 1}),
		"web:37": seconds(59, page.Second{Good: 1, Failed: 2}),
		untaken:  seconds(59, page.Second{Failed: 2}),
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTraffic_ofRequestsThroughALoadBalancer(t *testing.T) {
	w := start(t, Config{})
	behind := httptest.NewServer(http.NotFoundHandler())
	defer behind.Close()
	_, text, _ := net.SplitHostPort(behind.Listener.Addr().String())
	port, _ := strconv.Atoi(text)
	b := w.Balancer()
	lb, err := b.CreateLoadBalancer(balancer.LoadBalancer{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	group, err := b.CreateTargetGroup(balancer.TargetGroup{Name: "blue", Protocol: "HTTP", Port: 80, TargetType: "ip", VPC: "vpc-1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.CreateListener(balancer.Listener{LoadBalancer: lb.ARN, Protocol: "HTTP", Port: 80,
		Default: []balancer.Action{{Type: balancer.Forward, Groups: []balancer.Weighted{{Group: group.ARN, Weight: 1}}}}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Register(group.ARN, balancer.Target{ID: "127.0.0.1", Port: port}); err != nil {
		t.Fatal(err)
	}
	told := view{w.Server, ""}.Traffic()
	if len(told) != 1 || told[0].Name != "web" || len(told[0].Groups) != 1 || told[0].Groups[0].Seconds != nil {
		t.Fatalf("before a request the traffic is %+v", told)
	}
	answer, err := w.http.Get(told[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	await(t, "the request to be counted", func() bool {
		told = view{w.Server, ""}.Traffic()
		return len(told[0].Groups[0].Seconds) > 0
	})
	good := 0
	for _, s := range told[0].Groups[0].Seconds {
		good += s.Good
	}
	if g := told[0].Groups[0]; good != 1 || g.Name != "blue" || g.Targets != 1 {
		t.Errorf("after a request the group is %+v", g)
	}
}
