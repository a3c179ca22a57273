package statedir

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folder tells the test's own program to write states into it until it is killed.
const folder = "WEELO_DEPLOY_TEST_STATE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(folder); dir != "" {
		writeForever(dir)
	}
	os.Exit(m.Run())
}

// writeForever writes one state after another, and says each number when it is
// written.
func writeForever(dir string) {
	d, err := Open(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for n := next(d); ; n++ {
		if err := d.Write(Owner{Account: fmt.Sprint(n)}, state(n), time.Now()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// state is one of which every part says its number; some are long.
func state(n int) map[string]json.RawMessage {
	parts := make(map[string]json.RawMessage)
	for _, name := range []string{"a", "b", "c"} {
		parts[name] = json.RawMessage(fmt.Sprintf(`{"n":%d,"pad":%q}`, n, strings.Repeat("x", n%7*1000)))
	}
	return parts
}

// next is the number after that of the state that is there.
func next(d *Dir) int {
	var n int
	if _, err := fmt.Sscan(d.Owner().Account, &n); err != nil {
		return 1
	}
	return n + 1
}

// TestDir_aKillLeavesAWholeState kills a process that writes, in any moment, and
// reads what it has left.
func TestDir_aKillLeavesAWholeState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), folder+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said, lines := 0, bufio.NewScanner(out)
		for until := 1 + rand.N(8); until > 0 && lines.Scan(); until-- {
			if _, err := fmt.Sscan(lines.Text(), &said); err != nil {
				t.Fatalf("the process says %q", lines.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		wantWhole(t, dir, said)
	}
}

// wantWhole reads a state of which nothing that was acknowledged is missing, and
// all parts are of one moment.
func wantWhole(t *testing.T, dir string, least int) {
	t.Helper()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	n := next(d) - 1
	if n < least {
		t.Errorf("the state is the %dth, and the %dth was written", n, least)
	}
	for name, want := range state(n) {
		if got, err := d.Part(name); err != nil || string(got) != string(want) {
			t.Errorf("part %s of state %d is %.40s, %v", name, n, got, err)
		}
	}
	for _, sub := range []string{"", partsDir} {
		entries, err := os.ReadDir(d.Path(sub))
		if err != nil || len(entries) > 3 {
			t.Errorf("%s has %v, %v", sub, entries, err)
		}
	}
}

func TestDir_Write_writesWhatIsNew(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "deep", "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if !d.Empty() || d.Owner().Account != "" {
		t.Error("a new folder is not empty")
	}
	write := func(parts map[string]json.RawMessage, at time.Time) {
		t.Helper()
		if err := d.Write(Owner{Account: "1"}, parts, at); err != nil {
			t.Fatal(err)
		}
	}
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	write(state(1), noon)
	write(state(1), noon.Add(time.Hour))
	if !d.SavedAt().Equal(noon) {
		t.Error("a state that is there already was written again")
	}
	one := state(1)
	one["b"] = json.RawMessage(`2`)
	before, err := os.Stat(d.File("a"))
	if err != nil {
		t.Fatal(err)
	}
	write(one, noon.Add(2*time.Hour))
	after, err := os.Stat(d.File("a"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("a part that is the same was written again: %v", err)
	}
	if raw, err := d.Part("b"); err != nil || string(raw) != "2" {
		t.Errorf("part b is %s, %v", raw, err)
	}
	if raw, err := d.Part("none"); raw != nil || err != nil {
		t.Errorf("a part that is not there is %s, %v", raw, err)
	}
}
