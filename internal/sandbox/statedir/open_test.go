package statedir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What another program keeps is not cleaned up, although it calls its file as we do
// ours, and has got as far with its versions.
func TestOpen_leavesAloneWhatIsAnotherPrograms(t *testing.T) {
	dir := t.TempDir()
	theirs := map[string]string{stateFile: `{"version":1,"serial":7,"resources":[]}`, filepath.Join(partsDir, "wheel"): "round", ".new-idea": "keep"}
	if err := os.Mkdir(filepath.Join(dir, partsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range theirs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open = %v, want that it is no state", err)
	}
	for name, want := range theirs {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is now %q, %v", name, got, err)
		}
	}
}
