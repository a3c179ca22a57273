package taskdef

import (
	"cmp"
	"slices"
	"strings"
)

// OwnPrefix begins the key of every tag that weelo-deploy writes. Such tags
// speak of one revision and are never carried over to the next.
const OwnPrefix = "weelo-deploy:"

// Tag is a tag of a task definition.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Tags are the definition's tags, sorted by key.
func (d *Definition) Tags() []Tag { return slices.Clone(d.tags) }

// carried are the tags that the next revision gets too: not those of AWS, which
// nobody may set (tag restrictions, ECS Developer Guide), and not our own.
func carried(tags []Tag) []Tag {
	out := []Tag{}
	for _, t := range tags {
		if !strings.HasPrefix(strings.ToLower(t.Key), "aws:") && !strings.HasPrefix(t.Key, OwnPrefix) {
			out = append(out, t)
		}
	}
	return sortedTags(out)
}

// withTags puts more over tags: an equal key takes the new value.
func withTags(tags, more []Tag) []Tag {
	out := slices.Clone(tags)
	for _, m := range more {
		i := slices.IndexFunc(out, func(t Tag) bool { return t.Key == m.Key })
		if i < 0 {
			out = append(out, m)
			continue
		}
		out[i].Value = m.Value
	}
	return sortedTags(out)
}

func sortedTags(tags []Tag) []Tag {
	out := slices.Clone(tags)
	slices.SortFunc(out, func(a, b Tag) int { return cmp.Compare(a.Key, b.Key) })
	return out
}
