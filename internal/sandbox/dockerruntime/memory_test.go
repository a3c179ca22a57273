package dockerruntime

import "testing"

func TestHeaviest(t *testing.T) {
	for _, c := range []struct {
		use   map[string]uint64
		limit uint64
		want  string
	}{
		{nil, 1, ""},
		{map[string]uint64{"a": 5, "b": 5}, 10, ""},
		{map[string]uint64{"a": 5, "b": 6}, 10, "b"},
		{map[string]uint64{"b": 6, "a": 6}, 10, "a"},
	} {
		if got := heaviest(c.use, c.limit); got != c.want {
			t.Errorf("heaviest(%v, %d) = %q, want %q", c.use, c.limit, got, c.want)
		}
	}
}

func TestMemoryUse(t *testing.T) {
	for stats, want := range map[string]uint64{
		`{"memory_stats":{"usage":100,"stats":{"total_inactive_file":30,"inactive_file":10}}}`: 70,
		`{"memory_stats":{"usage":100,"stats":{"inactive_file":10}}}`:                          90,
		`{"memory_stats":{"usage":5,"stats":{"inactive_file":10}}}`:                            0,
		`{"memory_stats":{}}`: 0,
	} {
		if got, err := memoryUse([]byte(stats)); err != nil || got != want {
			t.Errorf("memoryUse(%s) = %d, %v; want %d", stats, got, err, want)
		}
	}
	if _, err := memoryUse([]byte("no")); err == nil {
		t.Error("memoryUse took what is no JSON")
	}
}
