package event

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The list of codes is a contract: what the code knows and what is documented are
// the same, but for the codes of exits, which are a family.
func TestFailureCodesAreDocumented(t *testing.T) {
	known := find(t, "failure.go", `Code = "([A-Z_]+)"`)
	documented := find(t, "../../docs/failure-codes.md", "(?m)^\\| `([A-Z_]+)`")
	if d := cmp.Diff(known, documented); d != "" {
		t.Errorf("codes in failure.go (-) and docs/failure-codes.md (+):\n%s", d)
	}
}

func find(t *testing.T, file, pattern string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	if len(out) < 20 {
		t.Fatalf("%s names %d codes, which cannot be all", file, len(out))
	}
	return slices.Compact(out)
}
