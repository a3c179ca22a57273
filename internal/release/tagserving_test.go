package release_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestAReleaseThatChangesNothingGivesTheServingImageItsTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	f := &workshop{w: w}
	w.want(w.release(w.ofCommit(f, "run1")), 0, event.Released, "", "38")
	s := w.ofCommit(f, "run2")
	s.Tags = []string{"c1", "c2"}
	w.want(w.release(s), 0, event.Unchanged, "", "38")
	if w.holds("c2") == "" || w.holds("c2") != w.holds("c1") || !w.told("is now tagged c2 too") {
		t.Errorf("c1 is %s, c2 is %q:\n%s", w.holds("c1"), w.holds("c2"), w.story())
	}
	// An unchanged release with nothing to tag says nothing of tags.
	s.RunID, w.events = "run3", nil
	w.want(w.release(s), 0, event.Unchanged, "", "38")
	if w.told("tagged") {
		t.Errorf("it speaks of tags:\n%s", w.story())
	}
}

func TestAPlanThatChangesNothingGivesNoTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	f := &workshop{w: w}
	w.want(w.release(w.ofCommit(f, "run1")), 0, event.Released, "", "38")
	s := w.ofCommit(f, "run2")
	s.Tags = []string{"c1", "c2"}
	w.run(s).Plan(t.Context(), false)
	if at := w.holds("c2"); at != "" {
		t.Errorf("a plan tagged %s", at)
	}
}

func TestATagThatAnUnchangedReleaseCannotGiveIsWarnedOf(t *testing.T) {
	for name, c := range map[string]struct{ seed, tag, says string }{
		"an immutable tag":       {strings.Replace(incident, "- name: weelo-backend\n", "- name: weelo-backend\n    immutable: true\n", 1), "arm", "the tag arm names another image, and the repository's tags are immutable"},
		"a tag of another image": {incident, "v1", "the tag v1 names another image (--move-tag moves it)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.seed, nil)
			f := &workshop{w: w}
			w.want(w.release(w.ofCommit(f, "run1")), 0, event.Released, "", "38")
			before := w.holds(c.tag)
			s := w.ofCommit(f, "run2")
			s.Tags = []string{c.tag}
			w.want(w.release(s), 0, event.Unchanged, "", "38")
			if w.holds(c.tag) != before || !w.told(c.says) {
				t.Errorf("the tag %s is %s, was %s; want it kept and %q:\n%s", c.tag, w.holds(c.tag), before, c.says, w.story())
			}
		})
	}
}
