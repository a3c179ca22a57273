package iam

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocs_nameEveryAction(t *testing.T) {
	text, err := os.ReadFile("../../docs/iam.md")
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]bool{}, map[string]bool{}
	for _, n := range append(Needs(everything()), DoctorNeeds(incident)...) {
		want[n.Action] = true
	}
	for _, m := range regexp.MustCompile("`((?:ecs|ecr|iam|logs|codebuild|s3):[A-Z][A-Za-z]+)`").FindAllStringSubmatch(string(text), -1) {
		if m[1] != "iam:PassedToService" {
			got[m[1]] = true
		}
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); d != "" {
		t.Errorf("actions (-needed +docs/iam.md):\n%s", d)
	}
}
