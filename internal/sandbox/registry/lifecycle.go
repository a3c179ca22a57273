package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// policy is a lifecycle policy, as far as it is carried out here: rules that
// expire images by count or by the age of their push.
type policy struct {
	Rules []lifecycleRule `json:"rules"`
}

type lifecycleRule struct {
	Priority    int    `json:"rulePriority"`
	Description string `json:"description"`
	Selection   struct {
		TagStatus   string   `json:"tagStatus"`
		Prefixes    []string `json:"tagPrefixList"`
		Patterns    []string `json:"tagPatternList"`
		CountType   string   `json:"countType"`
		CountUnit   string   `json:"countUnit"`
		CountNumber int      `json:"countNumber"`
	} `json:"selection"`
	Action struct {
		Type string `json:"type"`
	} `json:"action"`
}

// parsePolicy reads a policy and says what ECR would refuse in it.
func parsePolicy(text string) (policy, error) {
	var p policy
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("lifecycle policy is not valid JSON: %w", err)
	}
	if len(p.Rules) == 0 {
		return p, errors.New("lifecycle policy needs at least one rule")
	}
	seen := map[int]bool{}
	for _, r := range p.Rules {
		s := r.Selection
		switch {
		case r.Priority < 1 || seen[r.Priority]:
			return p, fmt.Errorf("rulePriority %d must be a positive number that no other rule has", r.Priority)
		case s.TagStatus == "tagged" && len(s.Prefixes)+len(s.Patterns) == 0:
			return p, errors.New("tagStatus tagged needs tagPrefixList or tagPatternList")
		case s.TagStatus != "tagged" && s.TagStatus != "untagged" && s.TagStatus != "any":
			return p, fmt.Errorf("tagStatus %q is not tagged, untagged or any", s.TagStatus)
		case s.CountNumber < 1:
			return p, errors.New("countNumber must be at least 1")
		case s.CountType != "imageCountMoreThan" && (s.CountType != "sinceImagePushed" || s.CountUnit != "days"):
			return p, fmt.Errorf("the sandbox knows imageCountMoreThan and sinceImagePushed in days, not %q", s.CountType)
		case r.Action.Type != "expire":
			return p, fmt.Errorf("the sandbox knows the action expire, not %q", r.Action.Type)
		}
		seen[r.Priority] = true
	}
	slices.SortFunc(p.Rules, func(a, b lifecycleRule) int { return cmp.Compare(a.Priority, b.Priority) })
	return p, nil
}

// selects says whether a rule is about an image with these tags. Of several
// prefixes or patterns the image needs a tag for each.
func (r lifecycleRule) selects(tags []string) bool {
	switch r.Selection.TagStatus {
	case "any":
		return true
	case "untagged":
		return len(tags) == 0
	}
	for _, prefix := range r.Selection.Prefixes {
		if !slices.ContainsFunc(tags, func(t string) bool { return strings.HasPrefix(t, prefix) }) {
			return false
		}
	}
	for _, pattern := range r.Selection.Patterns {
		matches := func(t string) bool { ok, err := path.Match(pattern, t); return ok && err == nil }
		if !slices.ContainsFunc(tags, matches) {
			return false
		}
	}
	return true
}

// expired are the digests that the policy would expire, with the priority of the
// rule that does. An image is expired by one rule at most: one that a rule selects
// is safe from every rule of lower priority, whether the first expires it or not.
func (p policy) expired(r *repository, now time.Time) map[string]int {
	out := map[string]int{}
	for i, rule := range p.Rules {
		var selected []string
		for d := range r.Images {
			if rule.selects(r.tagsOf(d)) {
				selected = append(selected, d)
			}
		}
		slices.SortFunc(selected, func(a, b string) int {
			return cmp.Or(r.Images[b].PushedAt.Compare(r.Images[a].PushedAt), strings.Compare(a, b))
		})
		for n, d := range selected {
			old := now.Sub(r.Images[d].PushedAt) > time.Duration(rule.Selection.CountNumber)*24*time.Hour
			if rule.Selection.CountType == "imageCountMoreThan" {
				old = n >= rule.Selection.CountNumber
			}
			above := slices.ContainsFunc(p.Rules[:i], func(higher lifecycleRule) bool { return higher.selects(r.tagsOf(d)) })
			if old && !above {
				out[d] = rule.Priority
			}
		}
	}
	return out
}
