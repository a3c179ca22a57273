package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
	// Run is the run that the outcome concludes: the revision's KeyRun tag when it
	// was written. No clocks have to be compared to tell whether a run is over.
	Run string
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
func OutcomeValue(o Outcome) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", o.Kind, o.At.UTC().Format(time.RFC3339), o.Run))
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
	words := strings.Fields(t.outcomes[OutcomeKey(cluster, service)])
	if len(words) < 2 {
		return Outcome{}
	}
	when, err := time.Parse(time.RFC3339, words[1])
	if err != nil {
		return Outcome{}
	}
	o := Outcome{Kind: Kind(words[0]), At: when}
	if len(words) > 2 {
		o.Run = words[2]
	}
	switch o.Kind {
	case Proven, Failed, Left:
		return o
	}
	return Outcome{}
}

// Unconcluded says whether a run of ours deployed the revision on a service and
// did not live to record how that ended.
func (t Tags) Unconcluded(cluster, service string) bool {
	return t.Run != "" && t.CopyOf == "" && t.Outcome(cluster, service).Run != t.Run
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
