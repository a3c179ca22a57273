package redact

import "testing"

func TestWhatIsLeftOfASecretThatWasCutIsMasked(t *testing.T) {
	r := New("canary-9f8e7d6c5b4a", "postgres://app:hunter2@db/app")
	for text, want := range map[string]string{
		"token canary-9f8e… and more":         "token ***… and more",
		"canary-9f8e7d6c5b4…":                 "***…",
		"the whole canary-9f8e7d6c5b4a…":      "the whole ***…",
		"two: canary-9f… postgres://app:hun…": "two: ***… ***…",
		"can…":                                 "can…",
		"canary birds…":                        "canary birds…",
		"canary-9f8e without a mark is a word": "canary-9f8e without a mark is a word",
		"…":                                    "…",
		"pulling the image… canary-9f8e7d6c5b4a": "pulling the image… ***",
	} {
		if got := r.String(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := (*Redactor)(nil).String("a…"); got != "a…" {
		t.Errorf("nil shows %q", got)
	}
}
