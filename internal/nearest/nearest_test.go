package nearest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	have := []string{"weelocluster", "weelo-staging", "default", "orders"}
	for want, near := range map[string][]string{
		"weeloclustre": {"weelocluster"},
		"WEELOCLUSTER": {"weelocluster"},
		"order":        {"orders"},
		"staging":      {"weelo-staging"},
		"payments":     {},
		"":             {},
	} {
		if d := cmp.Diff(near, Names(want, have, 3)); d != "" {
			t.Errorf("Names(%q) (-want +got):\n%s", want, d)
		}
	}
	if got := Names("a1", []string{"a2", "a3", "a4"}, 2); len(got) != 2 {
		t.Errorf("Names gave %d names, want at most 2", len(got))
	}
}
