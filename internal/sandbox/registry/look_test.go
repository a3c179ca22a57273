package registry

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStore_Look(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	s, err := Open(t.TempDir(), "000000000000", "us-east-1", WithClock(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, immutable := range map[string]bool{"web": true, "api": false} {
		if err := s.CreateRepository(name, immutable); err != nil {
			t.Fatal(err)
		}
	}
	put := func(tag, content string) string {
		d, err := s.PutTiny("web", tag, map[string][]byte{"app": []byte(content)}, TinyConfig{Entrypoint: []string{"/app"}})
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		return d
	}
	first, second := put("v1", "one"), put("v2", "two")
	all := s.Look()
	if len(all) != 2 || all[0].Name != "api" || all[0].Immutable || !all[1].Immutable || len(all[0].Images) != 0 {
		t.Fatalf("repositories are %+v", all)
	}
	var got [][]string
	for _, i := range all[1].Images {
		got = append(got, append(i.Tags, i.Digest))
		if i.Size == 0 || i.Pushed.IsZero() {
			t.Errorf("image %+v has no size or time", i)
		}
	}
	if d := cmp.Diff([][]string{{"v2", second}, {"v1", first}}, got); d != "" {
		t.Error(d)
	}
}
