package engine

import "testing"

func TestExit_aSIGKILLUnderALimitIsTheLimits(t *testing.T) {
	for _, c := range []struct {
		exit  Exit
		limit int64
		want  bool
	}{
		{Exit{Code: 137}, 64, true},
		{Exit{Code: 137}, 0, false},
		{Exit{Code: 139}, 64, false},
		{Exit{Code: 1, OOMKilled: true}, 0, true},
		{Exit{}, 64, false},
	} {
		if got := c.exit.OutOfMemory(c.limit); got != c.want {
			t.Errorf("%+v with limit %d: %v, want %v", c.exit, c.limit, got, c.want)
		}
	}
}
