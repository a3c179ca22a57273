package scan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/scan"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		glob, path string
		want       bool
	}{
		{"/app/a.node", "/app/a.node", true},
		{"/app/a.node", "/app/b.node", false},
		{"/app/*.node", "/app/a.node", true},
		{"/app/*.node", "/app/x/a.node", false},
		{"/app/**/*.node", "/app/x/y/a.node", true},
		{"/app/**/*.node", "/app/a.node", true},
		{"**/fixtures/**", "/app/test/fixtures/a.so", true},
		{"a.node", "/deep/down/a.node", true},
		{"node_modules/fsevents", "/app/node_modules/fsevents/fsevents.node", true},
		{"/node_modules/fsevents", "/app/node_modules/fsevents/fsevents.node", false},
		{"**", "/anything", true},
		{"/app/[", "/app/x", false},
		{strings.Repeat("**/a*/", 50) + "z", "/" + strings.Repeat("aa/", 200) + "y", false},
	} {
		if got := scan.Match(tt.glob, tt.path); got != tt.want {
			t.Errorf("Match(%.40s, %.40s) = %v, want %v", tt.glob, tt.path, got, tt.want)
		}
	}
	if err := scan.CheckGlob("/app/["); err == nil {
		t.Error("CheckGlob(/app/[) = nil")
	}
	if err := scan.CheckGlob("/app/**/*.node"); err != nil {
		t.Errorf("CheckGlob = %v", err)
	}
}

func TestImage_allow(t *testing.T) {
	i := server
	i.Layers = [][]byte{scantest.Tar(t, bin(modules+"a/build/Release/a.node", armAddon), bin(modules+"b/build/Release/b.node", armAddon))}
	r := on(t, []string{"debian12", "node"}, i, scan.Options{Allow: []string{"node_modules/a/**", "/never"}})
	wantLines(t, r, "error addon-wrong /"+modules+"b/build/Release/b.node", "warning allow-unused /never", "note addon-wrong /"+modules+"a/build/Release/a.node")
	if got := r.Findings[2].Allowed; got != "node_modules/a/**" {
		t.Errorf("Allowed = %q, want the rule", got)
	}
	if f := r.Failure(); f == nil || len(f.Also) != 0 {
		t.Errorf("Failure = %+v, want one", f)
	}
}

func TestReport_Failure(t *testing.T) {
	if f := (scan.Report{Findings: []scan.Finding{{Level: scan.Warning}}}).Failure(); f != nil {
		t.Errorf("Failure of a report without errors = %v", f)
	}
	r := on(t, []string{"debian12", "node", "app-darwin-arm64"}, server, scan.Options{})
	f := r.Failure()
	if f == nil || f.Code != event.CodeBinaryMismatch || len(f.Also) != 2 {
		t.Fatalf("Failure = %+v, want BINARY_MISMATCH with two more", f)
	}
	want := "/app/node_modules/@esbuild/darwin-arm64/bin/esbuild is a program for darwin/arm64 (Mach-O); expected: linux/amd64 glibc"
	if f.Message != want || len(f.Hints) != 2 || len(f.Also[0].Hints) != 1 {
		t.Errorf("Failure = %q, hints %v and %v", f.Message, f.Hints, f.Also[0].Hints)
	}
	if all := strings.Join(f.Evidence, "\n"); !strings.Contains(all, "step: COPY app-darwin-arm64 /") || !strings.Contains(all, "layer: sha256:") || strings.Contains(all, "mend: ") {
		t.Errorf("Evidence = %s", all)
	}
}

func TestReport_Failure_isShort(t *testing.T) {
	var r scan.Report
	for i := range 500 {
		r.Findings = append(r.Findings, scan.Finding{Level: scan.Error, Path: fmt.Sprint("/", i), What: "x"})
	}
	f := r.Failure()
	if len(f.Also) != 20 || f.Also[19].Message != "and 480 more files like these" {
		t.Errorf("Also = %d, the last %q", len(f.Also), f.Also[len(f.Also)-1].Message)
	}
}

func TestReport_WriteText_showsControlCharacters(t *testing.T) {
	r := scan.Report{Target: "linux/amd64", Findings: []scan.Finding{{Level: scan.Error, Rule: "x", Path: "/a\x1b[2Jb\n", What: "y"}}}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.ContainsAny(s, "\x1b") || !strings.Contains(s, `/a\x1b[2Jb\n is y`) {
		t.Errorf("WriteText = %q", s)
	}
}

func TestReport_WriteJSON(t *testing.T) {
	var b bytes.Buffer
	if err := (scan.Report{Target: "linux/amd64"}).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"target": "linux/amd64", "findings": []any{}, "files": 0.0, "binaries": 0.0, "bytes": 0.0, "layers": 0.0, "cached": 0.0}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("WriteJSON (-want +got):\n%s", d)
	}
}

func TestReport_Notes(t *testing.T) {
	r := scan.Report{Findings: []scan.Finding{{Level: scan.Error, Path: "/e"}, {Level: scan.Warning, Path: "/w", What: "odd", Why: "so"}, {Level: scan.Note, Path: "/n"}}}
	if d := cmp.Diff([]event.Note{{Level: event.Warn, Text: "/w is odd: so"}}, r.Notes()); d != "" {
		t.Errorf("Notes (-want +got):\n%s", d)
	}
}
