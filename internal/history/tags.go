package history

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Prefix begins the key of every tag of ours on a task definition revision.
const Prefix = "weelo-deploy:"

// Keys of our tags. A family can serve several services, so the outcome's key
// names cluster and service (OutcomeKey).
const (
	KeyRun      = Prefix + "run"
	KeyCommit   = Prefix + "commit"
	KeyBy       = Prefix + "by"
	KeyCode     = Prefix + "code"
	KeyCopyOf   = Prefix + "copy-of"
	KeyBackstop = Prefix + "backstop"
)

// Kind is how a revision fared on a service.
type Kind string

// The kinds that conclude writes.
const (
	Proven Kind = "proven"
	Failed Kind = "failed"
	Left   Kind = "left" // served once, and a rollback left it
)

// Outcome is what a release or a rollback recorded of a revision.
type Outcome struct {
	Kind Kind
	At   time.Time
}

// Tags are our tags on one revision.
type Tags struct {
	Run, Commit, By, Code, CopyOf, Backstop string

	outcomes map[string]string // key → value
}

// OutcomeKey is the key of a service's outcome tag. AWS limits keys to 128
// characters; a longer one is shortened with a hash.
func OutcomeKey(cluster, service string) string {
	k := Prefix + Short(cluster) + "/" + Short(service)
	if len(k) <= 128 {
		return k
	}
	sum := sha256.Sum256([]byte(k))
	return k[:128-17] + "-" + hex.EncodeToString(sum[:8])
}

// OutcomeValue is the value of an outcome tag.
func OutcomeValue(k Kind, at time.Time) string {
	return string(k) + " " + at.UTC().Format(time.RFC3339)
}

// ParseTags reads our tags out of a revision's, given as key and value.
func ParseTags(tags map[string]string) Tags {
	t := Tags{
		Run: tags[KeyRun], Commit: tags[KeyCommit], By: tags[KeyBy], Code: tags[KeyCode],
		CopyOf: tags[KeyCopyOf], Backstop: tags[KeyBackstop], outcomes: map[string]string{},
	}
	for k, v := range tags {
		if strings.HasPrefix(k, Prefix) {
			t.outcomes[k] = v
		}
	}
	return t
}

// Outcome is the recorded outcome on a service; its Kind is empty when there is
// none or it cannot be read.
func (t Tags) Outcome(cluster, service string) Outcome {
	kind, at, ok := strings.Cut(t.outcomes[OutcomeKey(cluster, service)], " ")
	if !ok {
		return Outcome{}
	}
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return Outcome{}
	}
	switch k := Kind(kind); k {
	case Proven, Failed, Left:
		return Outcome{k, when}
	}
	return Outcome{}
}

// Short is the last part of an ARN, or the name itself.
func Short(nameOrARN string) string { return nameOrARN[strings.LastIndex(nameOrARN, "/")+1:] }

// Value makes s fit for a tag's value: AWS allows letters, digits, spaces and
// + - = . _ : / @, at most 256 characters.
func Value(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" +-=._:/@", r):
			return r
		}
		return '_'
	}, s)
	if len(s) > 256 {
		s = s[:256]
	}
	return strings.TrimSpace(s)
}
