//go:build packages

package realtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
)

// binary is the tool that is tested, as a user has it.
var binary string

func TestMain(m *testing.M) {
	code := func() int {
		for _, tool := range []string{"npm", "gcc", "musl-gcc", "apt-get", "dpkg-deb", "tar", "go"} {
			if _, err := exec.LookPath(tool); err != nil {
				fmt.Fprintf(os.Stderr, "error: these tests need %s: %v\n", tool, err)
				return 1
			}
		}
		dir, err := os.MkdirTemp("", "weelo-real-*")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		defer func() {
			if packed, _ := registry(); packed != "" {
				os.RemoveAll(packed)
			}
		}()
		binary = filepath.Join(dir, "weelo-deploy")
		if out, err := exec.Command("go", "build", "-trimpath", "-o", binary, "../../../cmd/weelo-deploy").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build weelo-deploy: %v\n%s", err, out)
			return 1
		}
		os.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
		return m.Run()
	}()
	os.Exit(code)
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// build makes an image with the real builder and returns what the tool says of it.
// The image is removed when the test ends.
func build(t *testing.T, name, dir, dockerfile string) event.Result {
	t.Helper()
	write(t, dir, "Dockerfile", dockerfile)
	untag(t, name)
	return tool(t, dir, "build", "--name", name, "--json")
}

// untag gives an image up when the test ends.
func untag(t *testing.T, name string) {
	t.Helper()
	e := enginetest.Open(t)
	t.Cleanup(func() {
		if err := e.Untag(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
}

// tool runs weelo-deploy, and returns the result that it ends with.
func tool(t *testing.T, dir string, args ...string) event.Result {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var out, story bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &story
	err := cmd.Run()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var res event.Result
	if bad := json.Unmarshal([]byte(lines[len(lines)-1]), &res); bad != nil || res.Command != args[0] {
		t.Fatalf("weelo-deploy %s: %v, %v\n%s%s", strings.Join(args, " "), err, bad, out.String(), story.String())
	}
	if res.Binaries == nil {
		t.Fatalf("weelo-deploy %s did not look inside: %+v", strings.Join(args, " "), res.Failure)
	}
	return res
}

// lines are findings as "level rule path".
func lines(res event.Result, levels string) []string {
	out := []string{}
	for _, f := range res.Binaries.Findings {
		if strings.Contains(levels, f.Level) {
			out = append(out, fmt.Sprintf("%s %s %s", f.Level, f.Rule, f.Path))
		}
	}
	return out
}

// ran is how a container of an image ended, and what it printed.
func ran(t *testing.T, image string) (exit int, output string) {
	t.Helper()
	e := enginetest.Open(t)
	id := enginetest.Create(t, e, engine.ContainerSpec{Name: enginetest.Name(t), Image: image, Network: "none"})
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	end, err := e.WaitContainer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var b strings.Builder
	if err := e.Logs(t.Context(), id, false, func(l engine.LogLine) {
		mu.Lock()
		defer mu.Unlock()
		b.WriteString(l.Text + "\n")
	}); err != nil {
		t.Fatal(err)
	}
	return end.Code, b.String()
}
