package balancer

import (
	"fmt"
	"testing"
	"time"
)

func TestBalancer_tellsOfEveryGroupHoweverManyHaveNews(t *testing.T) {
	const groups = 1500
	told, hold := make(chan string, 2*groups), make(chan struct{})
	b := New(Config{Changed: func(group string) {
		<-hold
		told <- group
	}})
	defer b.Close()
	missing := make(map[string]bool)
	for i := range groups {
		g := must[TargetGroup](t)(b.CreateTargetGroup(TargetGroup{Name: fmt.Sprint("g", i), Protocol: "HTTP", Port: 80, TargetType: "ip"}))
		missing[g.ARN] = true
		if err := b.Register(g.ARN, Target{ID: "10.0.0.1", Port: 80}); err != nil {
			t.Fatal(err)
		}
	}
	close(hold)
	for deadline := time.After(10 * time.Second); len(missing) > 0; {
		select {
		case group := <-told:
			delete(missing, group)
		case <-deadline:
			t.Fatalf("of %d groups nobody was told of %d", groups, len(missing))
		}
	}
}

func TestBalancer_tellsAtOnceWhatHappenedToAGroupMeanwhile(t *testing.T) {
	const targets = 100
	told, hold := make(chan string, targets+2), make(chan struct{})
	b := New(Config{Changed: func(group string) {
		told <- group
		<-hold
	}})
	defer b.Close()
	one := must[TargetGroup](t)(b.CreateTargetGroup(TargetGroup{Name: "one", Protocol: "HTTP", Port: 80, TargetType: "ip"}))
	two := must[TargetGroup](t)(b.CreateTargetGroup(TargetGroup{Name: "two", Protocol: "HTTP", Port: 80, TargetType: "ip"}))
	register := func(group string, n int) {
		if err := b.Register(group, Target{ID: fmt.Sprint("10.0.0.", n), Port: 80}); err != nil {
			t.Fatal(err)
		}
	}
	register(one.ARN, 1)
	<-told // and whoever hears it is busy
	for n := range targets {
		register(one.ARN, 2+n)
	}
	hold <- struct{}{}
	if group := <-told; group != one.ARN {
		t.Errorf("the second news are of %s", group)
	}
	register(two.ARN, 1)
	close(hold)
	if group := <-told; group != two.ARN {
		t.Errorf("after them %s is told of, want what has happened since: %s", group, two.ARN)
	}
}
