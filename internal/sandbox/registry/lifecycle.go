package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// Count types of a rule.
const (
	moreThan          = "imageCountMoreThan"
	sincePushed       = "sinceImagePushed"
	sincePulled       = "sinceImagePulled"
	sinceTransitioned = "sinceImageTransitioned"
)

// Actions of a rule.
const (
	expire     = "expire"
	transition = "transition"
)

// What a policy is held to: the number of its rules and wildcards (user guide) and
// the days that an archived image is kept at least.
const (
	maxRules       = 50
	maxWildcards   = 4
	minArchiveDays = 90
)

// policy is a lifecycle policy: rules that expire images or put them into the
// archive.
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
		Class       string   `json:"storageClass"`
		CountType   string   `json:"countType"`
		CountUnit   string   `json:"countUnit"`
		CountNumber int      `json:"countNumber"`
	} `json:"selection"`
	Action struct {
		Type   string `json:"type"`
		Target string `json:"targetStorageClass"`
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
	if len(p.Rules) > maxRules {
		return p, fmt.Errorf("lifecycle policy has more than %d rules", maxRules)
	}
	seen := map[int]bool{}
	for _, r := range p.Rules {
		if r.Priority < 1 || seen[r.Priority] {
			return p, fmt.Errorf("rulePriority %d must be a positive number that no other rule has", r.Priority)
		}
		seen[r.Priority] = true
		if err := errors.Join(r.checkSelection(), r.checkCount(), r.checkAction()); err != nil {
			return p, err
		}
	}
	for _, r := range p.Rules {
		if r.Selection.TagStatus == "any" && r.Selection.Class != "archive" && !archiveOnlyAfter(p, r.Priority) {
			return p, errors.New("a rule with tagStatus any must have the highest rulePriority")
		}
	}
	slices.SortFunc(p.Rules, func(a, b lifecycleRule) int { return cmp.Compare(a.Priority, b.Priority) })
	return p, nil
}

// archiveOnlyAfter says whether all rules after a priority are about archived
// images, of which a rule for any image of the standard class takes none.
func archiveOnlyAfter(p policy, priority int) bool {
	return !slices.ContainsFunc(p.Rules, func(r lifecycleRule) bool { return r.Priority > priority && r.Selection.Class != "archive" })
}

func (r lifecycleRule) checkSelection() error {
	s := r.Selection
	lists := len(s.Prefixes) + len(s.Patterns)
	switch {
	case s.TagStatus != "tagged" && s.TagStatus != "untagged" && s.TagStatus != "any":
		return fmt.Errorf("tagStatus %q is not tagged, untagged or any", s.TagStatus)
	case s.TagStatus == "tagged" && lists == 0:
		return errors.New("tagStatus tagged needs tagPrefixList or tagPatternList")
	case s.TagStatus != "tagged" && lists > 0:
		return fmt.Errorf("tagStatus %s takes no tagPrefixList or tagPatternList", s.TagStatus)
	case len(s.Prefixes) > 0 && len(s.Patterns) > 0:
		return errors.New("a rule takes tagPrefixList or tagPatternList, not both")
	case slices.ContainsFunc(s.Patterns, func(p string) bool { return strings.Count(p, "*") > maxWildcards }):
		return fmt.Errorf("a pattern of tagPatternList has at most %d wildcards", maxWildcards)
	}
	return nil
}

func (r lifecycleRule) checkCount() error {
	s := r.Selection
	archive := s.CountType == sinceTransitioned
	switch {
	case s.CountNumber < 1:
		return errors.New("countNumber must be at least 1")
	case !slices.Contains([]string{moreThan, sincePushed, sincePulled, sinceTransitioned}, s.CountType):
		return fmt.Errorf("countType %q is not %s, %s, %s or %s", s.CountType, moreThan, sincePushed, sincePulled, sinceTransitioned)
	case s.CountType == moreThan && s.CountUnit != "":
		return errors.New("countUnit does not go with imageCountMoreThan")
	case s.CountType != moreThan && s.CountUnit != "days":
		return fmt.Errorf("%s needs countUnit days", s.CountType)
	case archive != (s.Class == "archive") || !archive && s.Class != "" && s.Class != "standard":
		return fmt.Errorf("storageClass %q does not go with %s", s.Class, s.CountType)
	case archive && s.CountNumber < minArchiveDays:
		return fmt.Errorf("%s needs a countNumber of at least %d", sinceTransitioned, minArchiveDays)
	}
	return nil
}

func (r lifecycleRule) checkAction() error {
	switch a := r.Action; {
	case a.Type != expire && a.Type != transition:
		return fmt.Errorf("the action %q is not expire or transition", a.Type)
	case a.Type == transition && a.Target != "archive":
		return errors.New("the action transition needs targetStorageClass archive")
	case a.Type == expire && a.Target != "":
		return errors.New("the action expire takes no targetStorageClass")
	case a.Type == expire && r.Selection.CountType == sincePulled:
		return errors.New("sinceImagePulled goes with the action transition only")
	case a.Type == transition && r.Selection.CountType == sinceTransitioned:
		return errors.New("sinceImageTransitioned goes with the action expire only")
	}
	return nil
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
		if !slices.ContainsFunc(tags, func(t string) bool { return wildcard(pattern, t) }) {
			return false
		}
	}
	return true
}

// takes says whether a rule is about an image: by its tags and its storage class.
func (r lifecycleRule) takes(repo *repository, d string, now time.Time) bool {
	status := repo.Images[d].status(now)
	if r.Selection.CountType == sinceTransitioned {
		return status == types.ImageStatusArchived && r.selects(repo.tagsOf(d))
	}
	return status == types.ImageStatusActive && r.selects(repo.tagsOf(d))
}

// old says whether the n-th newest of the images that a rule takes meets its
// count.
func (r lifecycleRule) old(i *image, n int, now time.Time) bool {
	since := i.PushedAt
	switch r.Selection.CountType {
	case moreThan:
		return n >= r.Selection.CountNumber
	case sincePulled:
		since = i.inUse()
	case sinceTransitioned:
		since = i.ArchivedAt
	}
	return now.Sub(since) > time.Duration(r.Selection.CountNumber)*24*time.Hour
}

// due are the images that the policy would act on, with the rule that does, by
// digest. One rule at most acts on an image: one that a rule selects is safe from
// every rule of lower priority, whether the first acts or not. An entry of an index
// stays as long as the index.
func (p policy) due(r *repository, now time.Time) map[string]lifecycleRule {
	out := map[string]lifecycleRule{}
	for n, rule := range p.Rules {
		var selected []string
		for d := range r.Images {
			if rule.takes(r, d, now) {
				selected = append(selected, d)
			}
		}
		slices.SortFunc(selected, func(a, b string) int {
			return cmp.Or(r.Images[b].PushedAt.Compare(r.Images[a].PushedAt), strings.Compare(a, b))
		})
		for i, d := range selected {
			above := slices.ContainsFunc(p.Rules[:n], func(higher lifecycleRule) bool { return higher.takes(r, d, now) })
			if !above && rule.old(r.Images[d], i, now) && len(r.indexesOf(d)) == 0 {
				out[d] = rule
			}
		}
	}
	return out
}

// ApplyLifecycle carries the lifecycle policies out now, of one repository or, for
// "", of all: ECR does so within a day. It returns what became of which images.
func (s *Store) ApplyLifecycle(repo string) ([]LifecycleDeed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(repo); repo != "" && err != nil {
		return nil, err
	}
	deeds := []LifecycleDeed{}
	for _, name := range slices.Sorted(maps.Keys(s.repos)) {
		r := s.repos[name]
		if repo != "" && repo != name || r.Lifecycle == "" {
			continue
		}
		p, err := parsePolicy(r.Lifecycle)
		if err != nil {
			return nil, fmt.Errorf("lifecycle policy of %s: %w", name, err)
		}
		deeds = append(deeds, s.carryOut(r, p)...)
	}
	return deeds, s.save()
}

// LifecycleDeed is what a lifecycle policy did to an image.
type LifecycleDeed struct {
	Repository string   `json:"repository"`
	Digest     string   `json:"digest"`
	Tags       []string `json:"tags,omitempty"`
	Action     string   `json:"action"` // expire or transition
	Priority   int      `json:"rulePriority"`
}

func (s *Store) carryOut(r *repository, p policy) []LifecycleDeed {
	now := s.now().UTC()
	due := p.due(r, now)
	var deeds []LifecycleDeed
	for _, d := range slices.Sorted(maps.Keys(due)) {
		deeds = append(deeds, LifecycleDeed{r.Name, d, r.tagsOf(d), due[d].Action.Type, due[d].Priority})
		if due[d].Action.Type == transition {
			r.Images[d].archive(now)
			continue
		}
		s.removeImage(r, d)
	}
	r.Evaluated = now
	return deeds
}
