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
		unit, action := `"countUnit":"days",`, `"type":"expire"`
		switch f[2] {
		case moreThan:
			unit = ""
		case sincePulled:
			action = `"type":"transition","targetStorageClass":"archive"`
		case sinceTransitioned:
			unit += `"storageClass":"archive",`
		}
		list = append(list, fmt.Sprintf(`{"rulePriority":%s,"selection":{"tagStatus":"%s",%s"countType":"%s",%s"countNumber":%s},"action":{%s}}`, f[0], status, tags, f[2], unit, f[3], action))
	}
	p, err := parsePolicy(`{"rules":[` + strings.Join(list, ",") + `]}`)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicy_due(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	r := &repository{Tags: map[string]string{"v1": "d1", "weelo-1": "d1", "v2": "d2", "v3": "d3"}, Images: map[string]*image{}}
	day := func(n int) time.Time { return now.Add(time.Duration(n) * 24 * time.Hour) }
	for i := range 5 { // d0 and d4 have no tag; d0 is the oldest
		r.Images[fmt.Sprintf("d%d", i)] = &image{PushedAt: day(i - 10)}
	}
	r.Images["d2"].PulledAt = day(-1)
	r.Images["d0"].ActiveAt = day(-2)
	r.Images["a1"] = &image{PushedAt: day(-400), life: life{Archived: true, ArchivedAt: day(-100)}}
	r.Images["a2"] = &image{PushedAt: day(-400), life: life{Archived: true, ArchivedAt: day(-80)}}
	r.Images["list"] = &image{PushedAt: day(-1), Children: []string{"entry"}}
	r.Images["entry"] = &image{PushedAt: day(-300)}
	r.Tags["all"], r.Tags["part"] = "list", "entry"
	for name, test := range map[string]struct {
		policy []string
		want   []string // "digest by priority"
	}{
		"the newest ones stay":                   {[]string{"1 any imageCountMoreThan 3"}, []string{"d0 1", "d1 1", "d2 1"}},
		"untagged ones":                          {[]string{"1 untagged sinceImagePushed 1"}, []string{"d0 1", "d4 1"}},
		"by age":                                 {[]string{"1 any sinceImagePushed 8"}, []string{"d0 1", "d1 1"}},
		"a higher rule that selects protects":    {[]string{"1 tagged=weelo- imageCountMoreThan 9", "2 any imageCountMoreThan 3"}, []string{"d0 2", "d2 2"}},
		"every prefix of a list is wanted":       {[]string{"1 tagged=v,weelo- imageCountMoreThan 9", "2 any sinceImagePushed 1"}, []string{"d0 2", "d2 2", "d3 2", "d4 2"}},
		"protected images count all the same":    {[]string{"1 tagged=v3 imageCountMoreThan 9", "2 tagged=v imageCountMoreThan 2"}, []string{"d1 2"}},
		"priorities are not the file's order":    {[]string{"5 any imageCountMoreThan 2", "1 tagged=v imageCountMoreThan 9"}, []string{"d0 5"}},
		"nothing where there are few":            {[]string{"1 any imageCountMoreThan 7"}, nil},
		"an expired image is expired by one":     {[]string{"1 tagged=v imageCountMoreThan 1", "2 any imageCountMoreThan 1"}, []string{"d0 2", "d1 1", "d2 1", "d4 2"}},
		"an image with other tags is untouched":  {[]string{"1 tagged=x imageCountMoreThan 1"}, nil},
		"an entry of an index stays":             {[]string{"1 tagged=part sinceImagePushed 1"}, nil},
		"a pull, or else a restore, counts":      {[]string{"1 any sinceImagePulled 5"}, []string{"d1 1", "d3 1", "d4 1"}},
		"archived long enough":                   {[]string{"1 any sinceImageTransitioned 90"}, []string{"a1 1"}},
		"one rule archives and the next expires": {[]string{"1 any sinceImagePulled 7", "2 any sinceImageTransitioned 90"}, []string{"a1 2", "d1 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for d, rule := range rules(t, test.policy...).due(r, now) {
				got = append(got, fmt.Sprint(d, " ", rule.Priority))
			}
			slices.Sort(got)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("due (-want +got):\n%s", d)
			}
		})
	}
}

func TestParsePolicy_refuses(t *testing.T) {
	rule := func(s string) string { return `{"rules":[` + s + `]}` }
	one := func(status, count, number, action string) string {
		return rule(fmt.Sprintf(`{"rulePriority":1,"selection":{"tagStatus":%q,"countType":%q,"countNumber":%s},"action":{%s}}`, status, count, number, action))
	}
	for text, want := range map[string]string{
		"x":                        "not valid JSON",
		`{"rules":[]}`:             "at least one rule",
		rule(`{"rulePriority":0}`): "must be a positive number",
		rule(`{"rulePriority":1,"selection":{"tagStatus":"tagged","countNumber":1}}`):                      "needs tagPrefixList",
		rule(`{"rulePriority":1,"selection":{"tagStatus":"all"}}`):                                         "is not tagged, untagged or any",
		one("any", moreThan, `0`, `"type":"expire"`):                                                       "at least 1",
		one("any", "sinceImageBuilt", `1,"countUnit":"days"`, `"type":"expire"`):                           `countType "sinceImageBuilt" is not`,
		one("any", moreThan, `1,"countUnit":"days"`, `"type":"expire"`):                                    "countUnit does not go with",
		one("any", sincePushed, `1`, `"type":"expire"`):                                                    "needs countUnit days",
		one("any", sincePulled, `1,"countUnit":"days"`, `"type":"expire"`):                                 "goes with the action transition only",
		one("any", sincePushed, `1,"countUnit":"days","storageClass":"archive"`, `"type":"expire"`):        `storageClass "archive" does not go`,
		one("any", sinceTransitioned, `90,"countUnit":"days"`, `"type":"expire"`):                          `storageClass "" does not go`,
		one("any", sinceTransitioned, `89,"countUnit":"days","storageClass":"archive"`, `"type":"expire"`): "at least 90",
		one("any", moreThan, `1`, `"type":"transition"`):                                                   "needs targetStorageClass archive",
		one("any", moreThan, `1`, `"type":"expire","targetStorageClass":"archive"`):                        "takes no targetStorageClass",
		one("any", moreThan, `1`, `"type":"delete"`):                                                       "is not expire or transition",
		one("untagged", moreThan, `1,"tagPrefixList":["v"]`, `"type":"expire"`):                            "takes no tagPrefixList",
		one("tagged", moreThan, `1,"tagPrefixList":["v"],"tagPatternList":["v*"]`, `"type":"expire"`):      "not both",
		one("tagged", moreThan, `1,"tagPatternList":["*a*b*c*d*"]`, `"type":"expire"`):                     "at most 4 wildcards",
		strings.Replace(one("any", moreThan, `1`, `"type":"expire"`), `}]`, `},{"rulePriority":2,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]`, 1): "must have the highest rulePriority",
	} {
		if _, err := parsePolicy(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parsePolicy(%s) = %v, want %q", text, err, want)
		}
	}
}
