package awsjson

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/google/go-cmp/cmp"
)

// FuzzUnmarshal feeds the decoder with what no client sends. It must not panic,
// must fail with a SerializationError only, and what it takes must survive being
// written and read again.
func FuzzUnmarshal(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(moduleDir(f, snapshotModules["ECS"]), "request_snapshot", "*Service*.snap"))
	if err != nil || len(files) == 0 {
		f.Fatal("no snapshots to start from:", err)
	}
	for _, file := range files {
		_, body := readSnapshot(f, file)
		f.Add(body)
	}
	f.Add([]byte(`{"deploymentConfiguration":{"lifecycleHooks":[{"hookDetails":{"a":[1,null,"x"]}}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in := new(ecs.CreateServiceInput)
		if err := Unmarshal(body, in); err != nil {
			var serialization *SerializationError
			if !errors.As(err, &serialization) {
				t.Fatalf("Unmarshal(%q) = %T %v", body, err, err)
			}
			return
		}
		first, err := Marshal(in)
		if err != nil {
			t.Fatalf("Marshal after Unmarshal(%q): %v", body, err)
		}
		again := new(ecs.CreateServiceInput)
		if err := Unmarshal(first, again); err != nil {
			t.Fatalf("Unmarshal of our own %s: %v", first, err)
		}
		second, err := Marshal(again)
		if err != nil || cmp.Diff(string(first), string(second)) != "" {
			t.Fatalf("round trip: %v\n%s", err, cmp.Diff(string(first), string(second)))
		}
	})
}
