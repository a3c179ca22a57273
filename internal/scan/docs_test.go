package scan

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocs_rules holds the table of docs/verify.md against the rules in the code.
func TestDocs_rules(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	code := map[string]bool{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`Rule[^"\n]{0,40}"([a-z]+(?:-[a-z]+)*)"`).FindAllSubmatch(text, -1) {
			code[string(m[1])] = !strings.HasSuffix(name, "_test.go") || code[string(m[1])]
		}
	}
	text, err := os.ReadFile("../../docs/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	var told, found []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|").FindAllSubmatch(text, -1) {
		for name := range strings.SplitSeq(strings.ReplaceAll(string(row[1]), "`", ""), ", ") {
			told = append(told, name)
		}
	}
	for name, real := range code {
		if real {
			found = append(found, name)
		}
	}
	slices.Sort(told)
	slices.Sort(found)
	if d := cmp.Diff(found, told); d != "" {
		t.Errorf("rules (-code +docs/verify.md):\n%s", d)
	}
}
