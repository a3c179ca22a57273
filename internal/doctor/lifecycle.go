package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
)

// rule is a rule of a lifecycle policy, as far as it matters here (Lifecycle
// policy properties, ECR User Guide).
type rule struct {
	Priority    int       `json:"rulePriority"`
	Description string    `json:"description,omitempty"`
	Selection   selection `json:"selection"`
	Action      struct {
		Type string `json:"type"`
	} `json:"action"`
}

type selection struct {
	TagStatus   string   `json:"tagStatus"`
	Prefixes    []string `json:"tagPrefixList,omitempty"`
	Patterns    []string `json:"tagPatternList,omitempty"`
	CountType   string   `json:"countType"`
	CountUnit   string   `json:"countUnit,omitempty"`
	CountNumber int      `json:"countNumber"`
}

// keptPrefix begins the tag that every released image keeps (image.PinTag), and
// kept is how many of them the rule that protects them leaves.
const (
	keptPrefix = "weelo-"
	kept       = 100
)

// selects says whether a rule is about an image with these tags: of several
// prefixes or patterns the image has a tag for each.
func (r rule) selects(tags []string) bool {
	s := r.Selection
	switch s.TagStatus {
	case "any":
		return true
	case "untagged":
		return len(tags) == 0
	}
	has := func(match func(string) bool) bool { return slices.ContainsFunc(tags, match) }
	for _, p := range s.Prefixes {
		if !has(func(t string) bool { return strings.HasPrefix(t, p) }) {
			return false
		}
	}
	for _, p := range s.Patterns {
		if !has(func(t string) bool { ok, err := path.Match(p, t); return ok && err == nil }) { // only * is special in both
			return false
		}
	}
	return len(s.Prefixes)+len(s.Patterns) > 0
}

// when says for people what makes a rule take an image.
func (r rule) when() string {
	s := r.Selection
	verb := map[bool]string{true: "archived", false: "expired"}[r.Action.Type == "transition"]
	switch s.CountType {
	case "imageCountMoreThan":
		return fmt.Sprintf("%s when more than %d images of the rule are there", verb, s.CountNumber)
	case "sinceImagePushed":
		return fmt.Sprintf("%s %d %s after its push", verb, s.CountNumber, cmp.Or(s.CountUnit, "days"))
	case "sinceImagePulled":
		return fmt.Sprintf("%s %d %s after its last pull", verb, s.CountNumber, cmp.Or(s.CountUnit, "days"))
	}
	return verb + " by " + s.CountType
}

// parsePolicy reads the rules of a policy, the first to be applied first.
func parsePolicy(text string) ([]rule, error) {
	var p struct {
		Rules []rule `json:"rules"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, fmt.Errorf("read lifecycle policy: %w", err)
	}
	slices.SortStableFunc(p.Rules, func(a, b rule) int { return cmp.Compare(a.Priority, b.Priority) })
	return p.Rules, nil
}

// reaches is the rule that decides on an image with these tags: the first that
// selects it, since an image that a rule selects is safe from those after it.
func reaches(rules []rule, tags []string) (rule, bool) {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.selects(tags) })
	if i < 0 {
		return rule{}, false
	}
	return rules[i], true
}

// protects is whether a rule is the one that keeps released images.
func (r rule) protects() bool {
	s := r.Selection
	return s.TagStatus == "tagged" && slices.Equal(s.Prefixes, []string{keptPrefix}) && s.CountType == "imageCountMoreThan" && s.CountNumber >= kept
}

// protected is the policy with a first rule that keeps released images from all
// others, as one line of JSON.
func protected(policy string) (string, error) {
	var p map[string]json.RawMessage
	var list []map[string]any
	err := errors.Join(json.Unmarshal([]byte(policy), &p), json.Unmarshal(p["rules"], &list))
	if err != nil {
		return "", fmt.Errorf("read lifecycle policy: %w", err)
	}
	for _, r := range list {
		if n, ok := r["rulePriority"].(float64); ok {
			r["rulePriority"] = int(n) + 1
		}
	}
	first := map[string]any{
		"rulePriority": 1, "description": "keep what weelo-deploy released",
		"selection": selection{TagStatus: "tagged", Prefixes: []string{keptPrefix}, CountType: "imageCountMoreThan", CountNumber: kept},
		"action":    map[string]string{"type": "expire"},
	}
	b, err := json.Marshal(map[string]any{"rules": append([]map[string]any{first}, list...)})
	return string(b), err
}

// vital is an image that production lives by.
type vital struct {
	role   string // "serves", "is the rollback target"
	name   string // of its revision
	digest string
	tags   []string
}

// lifecycle asks whether the repository's lifecycle policy could take an image
// that serves, or that a rollback would go back to.
func lifecycle(ctx context.Context, e *exam) []Finding {
	const name = "lifecycle policy"
	r := e.Repository
	out, err := e.Lifecycle.GetLifecyclePolicy(ctx, &ecr.GetLifecyclePolicyInput{RepositoryName: &r.Name, RegistryId: registryID(r)})
	var none *types.LifecyclePolicyNotFoundException
	switch {
	case errors.As(err, &none):
		return one(name, OK, "none: no image is expired", "")
	case deniedByAWS(err):
		return one(name, Warn, "ecr:GetLifecyclePolicy is denied: what it expires cannot be told", "weelo-deploy iam-policy --doctor")
	case err != nil:
		return one(name, Warn, err.Error(), "")
	}
	text := aws.ToString(out.LifecyclePolicyText)
	rules, err := parsePolicy(text)
	if err != nil {
		return one(name, Warn, err.Error(), "")
	}
	vitals := e.vitals(ctx)
	due, previewed := e.preview(ctx)
	var found []Finding
	for _, v := range vitals {
		if f, bad := judgeLifecycle(v, rules, due); bad {
			f.Name, f.Mend = name, e.protect(text, v)
			found = append(found, f)
		}
	}
	switch {
	case len(found) > 0:
		return found
	case previewed != "":
		return one(name, OK, "no rule is about the images that serve or that a rollback needs ("+previewed+")", "")
	}
	return one(name, OK, "leaves the images that serve and that a rollback needs", "")
}

// judgeLifecycle says whether a rule takes an image, now (due holds the priority
// of the rule, by digest) or later.
func judgeLifecycle(v vital, rules []rule, due map[string]int) (Finding, bool) {
	what := fmt.Sprintf("the image of %s, which %s", v.name, v.role)
	if n, ok := due[v.digest]; ok {
		return Finding{Status: Fail, Detail: fmt.Sprintf("rule %d takes %s within a day", n, what)}, true
	}
	r, ok := reaches(rules, v.tags)
	if !ok || r.protects() {
		return Finding{}, false
	}
	return Finding{Status: Warn, Detail: fmt.Sprintf("rule %d can take %s: it is %s", r.Priority, what, r.when())}, true
}

// protect is the command after which the policy leaves an image alone. An image
// from before has no tag of ours: the first release with it gives it one.
func (e *exam) protect(policy string, v vital) string {
	rules, err := parsePolicy(policy)
	first := err == nil && len(rules) > 0 && rules[0].protects()
	better, err := protected(policy)
	where := "--repository-name " + e.Repository.Name
	if e.Settings.Region != "" {
		where += " --region " + e.Settings.Region
	}
	command := fmt.Sprintf("aws ecr put-lifecycle-policy %s --lifecycle-policy-text '%s'", where, better)
	if first || err != nil {
		command = ""
	}
	if slices.ContainsFunc(v.tags, func(t string) bool { return strings.HasPrefix(t, keptPrefix) }) || v.digest == "" {
		return command
	}
	tag := fmt.Sprintf(`aws ecr put-image %[1]s --image-tag %[2]s --image-manifest "$(aws ecr batch-get-image %[1]s --image-ids imageDigest=%[3]s --query 'images[0].imageManifest' --output text)"`,
		where, image.PinTag(v.digest), v.digest)
	if command == "" {
		return tag
	}
	return command + " && " + tag
}

// vitals are the images of the repository that production lives by.
func (e *exam) vitals(ctx context.Context) []vital {
	released, err := e.Current.Released(e.Settings.Container)
	if err != nil {
		return nil
	}
	digests := map[string]*vital{}
	var out []*vital
	add := func(role, name, digest string) {
		if digest == "" {
			return
		}
		if have := digests[digest]; have != nil {
			have.role += " and " + role
			return
		}
		digests[digest] = &vital{role: role, name: name, digest: digest}
		out = append(out, digests[digest])
	}
	if inRepository(released.Image, e.Repository) {
		add("serves", e.Current.Name(), e.digestOf(ctx, released.Image))
	}
	if t := e.Target; t != nil {
		add("is the rollback target", history.Name(t.TaskDefinition), t.Digests[released.Name])
	}
	var list []vital
	for _, v := range out {
		found, err := e.Clients.ECR.DescribeImages(ctx, &ecr.DescribeImagesInput{
			RepositoryName: &e.Repository.Name, RegistryId: registryID(e.Repository), ImageIds: []types.ImageIdentifier{{ImageDigest: &v.digest}},
		})
		if err != nil || len(found.ImageDetails) == 0 {
			continue // gone, or in another repository: preflight tells that
		}
		v.tags = found.ImageDetails[0].ImageTags
		list = append(list, *v)
	}
	return list
}

func (e *exam) digestOf(ctx context.Context, ref string) string {
	parsed, err := image.ParseReference(ref)
	if err != nil || parsed.Digest != "" {
		return parsed.Digest
	}
	digest, _, err := image.Tagged(ctx, e.Clients.ECR, e.Repository, cmp.Or(parsed.Tag, "latest"))
	if err != nil {
		return ""
	}
	return digest
}

func registryID(r image.Repository) *string {
	if r.Account == "" {
		return nil
	}
	return &r.Account
}

// A preview is computed in the background.
const (
	previewTime = 20 * time.Second
	previewPace = 500 * time.Millisecond
)

// preview is what the policy would take today, by digest with the priority of the
// rule. without says why there is none.
func (e *exam) preview(ctx context.Context) (due map[string]int, without string) {
	r := e.Repository
	_, err := e.Lifecycle.StartLifecyclePolicyPreview(ctx, &ecr.StartLifecyclePolicyPreviewInput{RepositoryName: &r.Name, RegistryId: registryID(r)})
	var running *types.LifecyclePolicyPreviewInProgressException
	if err != nil && !errors.As(err, &running) {
		return nil, "no preview: " + reason(err)
	}
	ctx, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	in := &ecr.GetLifecyclePolicyPreviewInput{RepositoryName: &r.Name, RegistryId: registryID(r)}
	due = map[string]int{}
	for {
		out, err := e.Lifecycle.GetLifecyclePolicyPreview(ctx, in)
		if err != nil {
			return nil, "no preview: " + reason(err)
		}
		switch out.Status {
		case types.LifecyclePolicyPreviewStatusComplete:
			for _, p := range out.PreviewResults {
				due[aws.ToString(p.ImageDigest)] = int(aws.ToInt32(p.AppliedRulePriority))
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return due, ""
			}
			continue
		case types.LifecyclePolicyPreviewStatusInProgress:
		default:
			return nil, "no preview: it is " + string(out.Status)
		}
		select {
		case <-ctx.Done():
			return nil, "no preview: it takes too long"
		case <-time.After(previewPace):
		}
	}
}

func reason(err error) string {
	if deniedByAWS(err) {
		return "it is denied"
	}
	return err.Error()
}
