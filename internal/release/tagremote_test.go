package release_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestAnImageOfTheRepositoryGetsTheTagsThatWereGivenByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	s := w.settings("good")
	s.Tags, s.TagsGiven = []string{"prod", "v2"}, true
	w.want(w.release(s), 0, event.Released, "", "38")
	if good := w.holds("good"); good == "" || w.holds("prod") != good || w.holds("v2") != good {
		t.Errorf("good is %s, prod %q, v2 %q", good, w.holds("prod"), w.holds("v2"))
	}
	// Once more, when it serves: only what is missing is tagged.
	s.RunID, s.Tags = "run2", []string{"v2", "v3"}
	w.want(w.release(s), 0, event.Unchanged, "", "38")
	if w.holds("v3") != w.holds("good") || !w.told("is now tagged v3 too") {
		t.Errorf("v3 is %q:\n%s", w.holds("v3"), w.story())
	}
}

func TestTagsOfTheConfigurationAreNotGivenToAnImageOfTheRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	s := w.settings("good")
	s.Tags = []string{"c1"} // the commit of this work tree, which the image is not of
	w.want(w.release(s), 0, event.Released, "", "38")
	if at := w.holds("c1"); at != "" {
		t.Errorf("c1 is %s", at)
	}
}

func TestATagThatCannotBeGivenRefusesTheReleaseOfAnImageOfTheRepository(t *testing.T) {
	for name, c := range map[string]struct {
		seed, tag string
		code      event.Code
	}{
		"an immutable tag":                  {strings.Replace(incident, "- name: weelo-backend\n", "- name: weelo-backend\n    immutable: true\n", 1), "arm", event.CodeTagImmutable},
		"the tag that the service lives by": {incident, "v1", event.CodeTagInUse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.seed, nil)
			before := w.holds(c.tag)
			s := w.settings("good")
			s.Tags, s.TagsGiven = []string{c.tag}, true
			w.want(w.release(s), 4, event.Refused, c.code, "27")
			if before == "" || w.holds(c.tag) != before {
				t.Errorf("%s is %s, was %q", c.tag, w.holds(c.tag), before)
			}
		})
	}
}
