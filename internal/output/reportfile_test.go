package output

import (
	"html"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/redact"
)

func pageOf(t *testing.T, r *redact.Redactor, steps ...step) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte("an older one"), 0o600); err != nil {
		t.Fatal(err)
	}
	rep, err := NewReport(path, r)
	if err != nil {
		t.Fatal(err)
	}
	rep.Failed = func(err error) { t.Error(err) }
	emitAll(rep, steps)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return string(raw)
}

func TestReportFile_pages(t *testing.T) {
	for name, steps := range map[string][]step{"good": goodRun(), "crash": crashRun()} {
		t.Run(name, func(t *testing.T) { golden(t, "page-"+name, pageOf(t, nil, steps...)) })
	}
	for name, r := range results() { // a run that got nowhere is a page too
		t.Run(name, func(t *testing.T) {
			got := pageOf(t, nil, step{0, "", r})
			if !strings.HasSuffix(strings.TrimSpace(got), "</html>") || !strings.Contains(got, "exit ") {
				t.Errorf("the page of %s is not whole:\n%s", name, got)
			}
		})
	}
}

// Nothing is fetched from elsewhere, and nothing can run.
func TestReportFile_isSelfContained(t *testing.T) {
	got := pageOf(t, nil, crashRun()...)
	for _, bad := range []string{"<script", "<link", "<img", "<iframe", "@import", "url(", " src=", " href=", "javascript:", " onload"} {
		if strings.Contains(strings.ToLower(got), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if !strings.Contains(html.UnescapeString(got), "default-src 'none'") {
		t.Error("the page has no content security policy")
	}
}

func TestReportFile_foreignTextIsText(t *testing.T) {
	const evil = `</pre><script>alert(1)</script><img src=x onerror=alert(1)>"' style="x:expression(1)" {{.}} ]]> --> <svg/onload=alert(1)>`
	tag := regexp.MustCompile(`(?i)<(script|img|svg/)|<[^>]*\son[a-z]+=`)
	steps := []step{}
	for _, e := range everyEvent() {
		v := filled(e, evil)
		steps = append(steps, step{1, evil, v})
	}
	got := pageOf(t, nil, steps...)
	if m := tag.FindString(got); m != "" {
		t.Errorf("the page holds %q", m)
	}
	if !strings.Contains(got, "&lt;script&gt;") {
		t.Error("the text is not on the page at all")
	}
}

func TestReportFile_isRefusedBeforeTheRun(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{"no folder": filepath.Join(dir, "none", "x.html"), "a folder": dir} {
		t.Run(name, func(t *testing.T) {
			_, err := NewReport(path, nil)
			if fs := event.FailuresOf(err); len(fs) != 1 || fs[0].Code != event.CodeUsage {
				t.Errorf("NewReport(%s) = %v, want a usage failure", path, err)
			}
		})
	}
}

func TestReportFile_saysWhenItCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	rep, err := NewReport(filepath.Join(dir, "x.html"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	var told error
	rep.Failed = func(err error) { told = err }
	emitAll(rep, goodRun())
	if told == nil || !strings.Contains(told.Error(), fs.ErrNotExist.Error()[:4]) {
		t.Errorf("told %v, want that the folder is gone", told)
	}
}
