package logstore

import (
	"testing"
	"time"
)

func TestStore_Tail_isTheEndOfAStream(t *testing.T) {
	s, _ := serve(t)
	fill(s, "s", 5)
	lines := s.Tail("/ecs/app", "s", 2)
	if len(lines) != 2 || lines[0].Text != "line 3" || lines[1].Text != "line 4" || lines[1].Number != 4 || !lines[1].At.Equal(epoch.Add(4*time.Second)) {
		t.Errorf("the tail is %+v", lines)
	}
	if lines := s.Tail("/ecs/app", "s", 100); len(lines) != 5 {
		t.Errorf("a long tail has %d lines, want all 5", len(lines))
	}
	if s.Tail("/ecs/app", "other", 1) != nil || s.Tail("/other", "s", 1) != nil {
		t.Error("a stream that does not exist has a tail")
	}
}
