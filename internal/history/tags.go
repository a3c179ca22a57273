package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Prefix begins the key of every tag of ours on a task definition revision.
const Prefix = "weelo-deploy:"

// Keys of our tags that speak of a revision wherever it runs. The others are a
// service's own (KeysOf), since a family can serve several.
const (
	KeyCommit = Prefix + "commit"
	KeyCopyOf = Prefix + "copy-of"
)

// Keys are the keys of our tags that speak of a revision on one service.
type Keys struct {
	Outcome  string // how it fared: Outcome
	Run      string // which run deployed it, and after what: RunValue
	By       string // who that was
	Code     string // the failure code, beside a failed outcome
	Backstop string // what the service's circuit breaker was before the run
	Wishes   string // what was asked of the run that ECS does not show
	Before   string // the before-tasks that the run puts before its deployment
}

// KeysOf are the keys for a service. AWS limits keys to 128 characters; longer
// ones are shortened with a hash.
func KeysOf(cluster, service string) Keys {
	of := func(what string) string {
		k := Prefix + Short(cluster) + "/" + Short(service) + what
		if len(k) <= 128 {
			return k
		}
		sum := sha256.Sum256([]byte(k))
		return k[:128-17] + "-" + hex.EncodeToString(sum[:8])
	}
	return Keys{Outcome: of(""), Run: of(":run"), By: of(":by"), Code: of(":code"), Backstop: of(":backstop"), Wishes: of(":wishes"), Before: of(":before")}
}

func (k Keys) all() []string {
	return []string{k.Outcome, k.Run, k.By, k.Code, k.Backstop, k.Wishes, k.Before}
}

// Wishes that a run records, so that whoever goes on with it honours them. The
// last three have a value: bake=2m0s.
const (
	WishNoRollback = "no-rollback"
	WishKeepFailed = "keep-failed"
	WishBake       = "bake"
	WishTimeout    = "timeout"
	WishTolerate   = "tolerate"
)

// Kind is how a revision fared on a service.
type Kind string

// The kinds that conclude writes.
const (
	Proven Kind = "proven"
	Failed Kind = "failed"
	Left   Kind = "left" // served once, and a rollback left it
	// Superseded says that somebody else's deployment took over before it was known.
	Superseded Kind = "superseded"
)

// Outcome is what a release or a rollback recorded of a revision.
type Outcome struct {
	Kind Kind
	At   time.Time
	// Run is the run that the outcome concludes: the one of the revision's run tag
	// when it was written. No clocks have to be compared to tell whether a run is over.
	Run string
	// Ended is the failure code of that run, where it failed and the revision is not
	// blamed for it: a redeploy of what was proven.
	Ended string
}

// Tags are our tags on one revision, as far as they speak of one service.
type Tags struct {
	Run, After, By, Code, Backstop string
	Before                         string // names of before-tasks
	Wishes                         []string
	Outcome                        Outcome // its Kind is empty when there is none or it cannot be read

	Commit, CopyOf string
	Ours           bool // a release made the revision, for whatever service
	Elsewhere      bool // a release deployed it to another service as well
}

// RunValue is the value of a run tag. after is the ARN of the newest service
// deployment when the run began, so that of several deployments of one revision
// the run's own can be told.
func RunValue(run, after string) string {
	if after == "" {
		return run
	}
	return run + " after " + Short(after)
}

// OutcomeValue is the value of an outcome tag.
func OutcomeValue(o Outcome) string {
	v := fmt.Sprintf("%s %s", o.Kind, o.At.UTC().Format(time.RFC3339))
	if o.Run != "" {
		v = strings.TrimSpace(v + " " + o.Run + " " + o.Ended)
	}
	return v
}

// ParseTags reads our tags out of a revision's, given as key and value.
func ParseTags(tags map[string]string, cluster, service string) Tags {
	k := KeysOf(cluster, service)
	t := Tags{
		By: tags[k.By], Code: tags[k.Code], Backstop: tags[k.Backstop], Before: tags[k.Before], Wishes: strings.Fields(tags[k.Wishes]),
		Outcome: parseOutcome(tags[k.Outcome]), Commit: tags[KeyCommit], CopyOf: tags[KeyCopyOf],
	}
	if words := strings.Fields(tags[k.Run]); len(words) > 0 {
		t.Run = words[0]
		if len(words) == 3 && words[1] == "after" {
			t.After = words[2]
		}
	}
	for key := range tags {
		t.Ours = t.Ours || strings.HasPrefix(key, Prefix)
		t.Elsewhere = t.Elsewhere || strings.HasPrefix(key, Prefix) && strings.Contains(key, "/") && !slices.Contains(k.all(), key)
	}
	return t
}

func parseOutcome(v string) Outcome {
	words := strings.Fields(v)
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
	if len(words) > 3 {
		o.Ended = words[3]
	}
	switch o.Kind {
	case Proven, Failed, Left, Superseded:
		return o
	}
	return Outcome{}
}

// Wished says whether the run was asked for something that ECS does not show.
func (t Tags) Wished(what string) bool { return slices.Contains(t.Wishes, what) }

// Wish is the value of a wish that has one; empty without it.
func (t Tags) Wish(what string) string {
	for _, w := range t.Wishes {
		if v, ok := strings.CutPrefix(w, what+"="); ok {
			return v
		}
	}
	return ""
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
