package registry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rules makes a policy of "priority tagStatus[=prefix,…] countType number".
func rules(t *testing.T, lines ...string) policy {
	t.Helper()
	var list []string
	for _, l := range lines {
		f := strings.Fields(l)
		status, prefixes, _ := strings.Cut(f[1], "=")
		tags := ""
		if prefixes != "" {
			tags = fmt.Sprintf(`"tagPrefixList":["%s"],`, strings.ReplaceAll(prefixes, ",", `","`))
		}
		list = append(list, fmt.Sprintf(`{"rulePriority":%s,"selection":{"tagStatus":"%s",%s"countType":"%s","countUnit":"days","countNumber":%s},"action":{"type":"expire"}}`, f[0], status, tags, f[2], f[3]))
	}
	p, err := parsePolicy(`{"rules":[` + strings.Join(list, ",") + `]}`)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicy_expired(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	r := &repository{Tags: map[string]string{"v1": "d1", "weelo-1": "d1", "v2": "d2", "v3": "d3"}, Images: map[string]*image{}}
	for i := range 5 { // d0 and d4 have no tag; d0 is the oldest
		r.Images[fmt.Sprintf("d%d", i)] = &image{PushedAt: now.Add(time.Duration(i-10) * 24 * time.Hour)}
	}
	for name, test := range map[string]struct {
		policy []string
		want   []string // "digest by priority"
	}{
		"the newest two stay":                   {[]string{"1 any imageCountMoreThan 2"}, []string{"d0 1", "d1 1", "d2 1"}},
		"untagged ones":                         {[]string{"1 untagged sinceImagePushed 1"}, []string{"d0 1", "d4 1"}},
		"by age":                                {[]string{"1 any sinceImagePushed 8"}, []string{"d0 1", "d1 1"}},
		"a higher rule that selects protects":   {[]string{"1 tagged=weelo- imageCountMoreThan 9", "2 any imageCountMoreThan 2"}, []string{"d0 2", "d2 2"}},
		"every prefix of a list is wanted":      {[]string{"1 tagged=v,weelo- imageCountMoreThan 9", "2 any sinceImagePushed 1"}, []string{"d0 2", "d2 2", "d3 2", "d4 2"}},
		"protected images count all the same":   {[]string{"1 tagged=v3 imageCountMoreThan 9", "2 tagged=v imageCountMoreThan 2"}, []string{"d1 2"}},
		"priorities are not the file's order":   {[]string{"5 any imageCountMoreThan 1", "1 tagged=v imageCountMoreThan 9"}, []string{"d0 5"}},
		"nothing where there are few":           {[]string{"1 any imageCountMoreThan 5"}, nil},
		"an expired image is expired by one":    {[]string{"1 tagged=v imageCountMoreThan 1", "2 any imageCountMoreThan 1"}, []string{"d0 2", "d1 1", "d2 1"}},
		"an image with other tags is untouched": {[]string{"1 tagged=x imageCountMoreThan 1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for d, priority := range rules(t, test.policy...).expired(r, now) {
				got = append(got, fmt.Sprint(d, " ", priority))
			}
			slices.Sort(got)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("expired (-want +got):\n%s", d)
			}
		})
	}
}

func TestParsePolicy_refuses(t *testing.T) {
	rule := func(s string) string { return `{"rules":[` + s + `]}` }
	for text, want := range map[string]string{
		"x":                        "not valid JSON",
		`{"rules":[]}`:             "at least one rule",
		rule(`{"rulePriority":0}`): "must be a positive number",
		rule(`{"rulePriority":1,"selection":{"tagStatus":"tagged","countNumber":1}}`):                                                              "needs tagPrefixList",
		rule(`{"rulePriority":1,"selection":{"tagStatus":"all"}}`):                                                                                 "is not tagged, untagged or any",
		rule(`{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan"}}`):                                                "at least 1",
		rule(`{"rulePriority":1,"selection":{"tagStatus":"any","countNumber":1,"countType":"sinceImagePulled"}}`):                                  "the sandbox knows imageCountMoreThan",
		rule(`{"rulePriority":1,"selection":{"tagStatus":"any","countNumber":1,"countType":"imageCountMoreThan"},"action":{"type":"transition"}}`): "the sandbox knows the action expire",
	} {
		if _, err := parsePolicy(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parsePolicy(%s) = %v, want %q", text, err, want)
		}
	}
}
