package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// echo is a service that shows everybody what it was sent, and says whether it is
// well.
func echo(t *testing.T, well *atomic.Bool) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !well.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		auth := r.Header.Get("Authorization")
		fmt.Fprintf(w, "%s %s [%s] %s %s %q", auth, base64.StdEncoding.EncodeToString([]byte(auth)), r.Header.Get("X-Sign"), r.URL.RawQuery, r.Header.Get("X-Plain"), body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func (r *runner) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(r.file(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNoOutputShowsWhatACheckSends(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	var well atomic.Bool
	r.write(t, "sign.txt", "canary-of-the-file\n")
	r.write(t, "weelo-deploy.yaml", actionConfig+`checks:
  http:
    - name: health
      url: "`+echo(t, &well)+`/health?access_token=canary-of-the-query"
      headers: {Authorization: "Bearer canary-of-the-header", X-Plain: "public-{{.Number}}"}
      headerFiles: {X-Sign: sign.txt}
      retries: 0
`)
	for _, mode := range []string{"plain", "json", "github"} {
		stdout, stderr, code := r.tool(t, "release", "--no-trial", "--output", mode, "--image", r.server.Registry()+"/weelo-backend:good")
		all := stdout + stderr
		if code != 4 || !strings.Contains(all, "CHECK_FAILED") || !strings.Contains(all, "public-1") {
			t.Errorf("%s: exit %d, want 4 and the answer:\n%s", mode, code, all)
		}
		if strings.Contains(all, "canary") || strings.Contains(all, base64.StdEncoding.EncodeToString([]byte("Bearer canary-of-the-header"))) {
			t.Errorf("%s shows a secret:\n%s", mode, all)
		}
	}
}

func TestChecksAreToldLineByLineWithTheirTime(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	var well atomic.Bool
	well.Store(true)
	url := echo(t, &well)
	text := actionConfig + "checks:\n  http:\n"
	for i := range 6 {
		text += fmt.Sprintf("    - {name: check%d, method: POST, writes: true, url: %q, body: \"{{.Number}}\", parallel: 2, statuses: {200: 2}}\n", i, url)
	}
	r.write(t, "weelo-deploy.yaml", text)
	_, stderr, code := r.tool(t, "release", "--no-trial", "--output", "plain", "--image", r.server.Registry()+"/weelo-backend:good")
	if code != 0 {
		t.Fatalf("exit %d:\n%s", code, stderr)
	}
	for i := range 6 {
		if !regexp.MustCompile(fmt.Sprintf(`\[9/10 checks\] check%d: 2 at once: 2 × 200 \(\d+\.\ds\)`, i)).MatchString(stderr) {
			t.Errorf("check%d has no line with its time:\n%s", i, stderr)
		}
	}
	if !strings.Contains(stderr, "[9/10 checks] done") || !strings.Contains(stderr, ": 6 passed") {
		t.Errorf("the stage is not summed up:\n%s", stderr)
	}
}

func TestFilesOfChecksMustBeThere(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	r.write(t, "empty.txt", "\n")
	r.write(t, "weelo-deploy.yaml", actionConfig+`checks:
  http:
    - {name: a, url: "http://127.0.0.1:1", headerFiles: {X-Key: nowhere.txt}}
    - {name: b, url: "http://127.0.0.1:1", headerFiles: {X-Key: empty.txt}}
    - {name: c, url: "http://127.0.0.1:1", method: PUT, writes: true, bodyFile: nowhere.json}
`)
	_, stderr, code := r.tool(t, "plan", "--output", "plain")
	for _, want := range []string{"weelo-deploy.yaml:8:65: checks.http[0].headerFiles.X-Key cannot be read", "empty.txt holds no value of a header", "checks.http[2].bodyFile cannot be read", "3 errors"} {
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("exit %d, want 2 and %q:\n%s", code, want, stderr)
		}
	}
	_, stderr, code = r.tool(t, "watch", "--output", "plain")
	if want := "warning: the live checks are not made: weelo-deploy.yaml:8:65: checks.http[0].headerFiles.X-Key cannot be read"; code != 0 || !strings.Contains(stderr, want) {
		t.Errorf("watch: exit %d, want 0 and %q:\n%s", code, want, stderr)
	}
}

func TestWatchTakesTheChecksOfItsOwnServiceOnly(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "weelo-deploy.yaml")
	if err := os.WriteFile(file, []byte(actionConfig+"checks: {logs: [{name: a, contains: b}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		flags   globalFlags
		unknown string
		logs    int
	}{
		"the file's service":               {globalFlags{config: file}, "", 1},
		"the same, named by flags too":     {globalFlags{config: file, cluster: "arn:aws:ecs:ap-south-1:318774499084:cluster/weelocluster", service: "backend"}, "", 1},
		"another service, named by a flag": {globalFlags{config: file, service: "orders"}, "weelo-deploy.yaml here is about another service", 0},
		"no file":                          {globalFlags{cluster: "weelocluster", service: "backend"}, "there is no weelo-deploy.yaml here that could say which checks there are", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			a := &app{
				flags: c.flags, stdout: io.Discard, stderr: io.Discard, now: time.Now,
				environ: func() []string { return []string{"HOME=/h"} }, getenv: func(string) string { return "" },
			}
			s, err := a.begin("watch")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.load(overrides{}); err != nil {
				t.Fatal(err)
			}
			got := s.resumedChecks()
			if got.Unknown != c.unknown || len(got.Logs) != c.logs {
				t.Errorf("resumedChecks = %+v", got)
			}
		})
	}
}

// The sandbox of these tests is on loopback, and 192.0.2.1 (TEST-NET-1) is not.
func TestPractiseOnASandboxAsksNobodyElsewhere(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	r.write(t, "weelo-deploy.yaml", actionConfig+`checks:
  http:
    - {name: production, url: "http://192.0.2.1/orders", method: POST, writes: true}
`)
	_, stderr, code := r.tool(t, "release", "--no-trial", "--output", "plain", "--image", r.server.Registry()+"/weelo-backend:good")
	if code != 0 || !strings.Contains(stderr, "warning: check production is not made: AWS is a sandbox on this machine") || !strings.Contains(stderr, "[9/10 checks] skipped: not configured") {
		t.Errorf("exit %d:\n%s", code, stderr)
	}
}
