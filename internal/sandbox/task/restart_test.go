package task_test

import (
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

func TestRestart_OnlyWhatRanLongEnoughAndIsNotIgnored(t *testing.T) {
	policy := &task.Restart{Ignored: []int{0, 64}, Period: time.Minute}
	code := func(n int) *int { return &n }
	for _, c := range []struct {
		policy *task.Restart
		code   *int
		ran    time.Duration
		want   bool
	}{
		{policy, code(139), time.Minute, true},
		{policy, code(139), time.Minute - 1, false},
		{policy, code(0), time.Hour, false},
		{policy, code(64), time.Hour, false},
		{policy, nil, time.Hour, false},
		{nil, code(1), time.Hour, false},
	} {
		if got := c.policy.Again(c.code, c.ran); got != c.want {
			t.Errorf("%+v.Again(%v, %s) = %v, want %v", c.policy, c.code, c.ran, got, c.want)
		}
	}
}
