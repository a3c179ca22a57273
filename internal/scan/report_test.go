package scan_test

import (
	"fmt"
	"slices"
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
}

func TestImage_allow(t *testing.T) {
	i := server
	i.Layers = [][]byte{scantest.Tar(t, bin(modules+"a/build/Release/a.node", armAddon), bin(modules+"b/build/Release/b.node", armAddon))}
	r := on(t, []string{"debian12", "node"}, i, scan.Options{Allow: []scan.Rule{{Path: "node_modules/a/**", Reason: "a plug-in"}, {Path: "/never"}, {Path: "/app/node_modules/a"}}})
	wantLines(t, r, "error addon-wrong /"+modules+"b/build/Release/b.node", "warning allow-unused /never", "note addon-wrong /"+modules+"a/build/Release/a.node")
	if f := r.Findings[2]; f.Allowed != "node_modules/a/**" || f.Reason != "a plug-in" || !slices.Contains(f.Lines(), "allowed by: node_modules/a/** (a plug-in)") {
		t.Errorf("finding = %+v, want the first rule that matches, with its reason", f)
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

func TestImage_allowIsForFilesOnly(t *testing.T) {
	i := scantest.Image{Arch: "arm64", Cmd: []string{"/s"}, Layers: [][]byte{scantest.Tar(t, scantest.File{Name: "../../x", Body: []byte("y")}, bin("s", scantest.ELF{Program: true}))}}
	r, err := scan.Image(t.Context(), scan.FromSave(stream(i.Save(t))), amd64, scan.Options{Allow: []scan.Rule{{Path: "**"}}})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, r, "error layer-member ../../x", "error image-platform /", "warning allow-unused **")
}

func TestFinding_Lines_showControlCharacters(t *testing.T) {
	s := strings.Join(scan.Finding{Level: scan.Error, Rule: "x", Path: "/a\x1b[2Jb\n", What: "y"}.Lines(), "|")
	if strings.ContainsAny(s, "\x1b\n") || !strings.Contains(s, `/a\x1b[2Jb\n is y`) {
		t.Errorf("Lines = %q", s)
	}
}

func TestReport_Event(t *testing.T) {
	f := scan.Finding{
		Level: scan.Error, Rule: "r", Path: "/p", What: "w", Want: "v", Why: "y", LoadedBy: "/l", Layer: "sha256:1", Step: "COPY", Mend: []string{"m"}, Allowed: "**", Reason: "because",
	}
	got := scan.Report{Target: "linux/amd64", Findings: []scan.Finding{f}, Files: 1, Binaries: 2, Bytes: 3, Layers: 4, Cached: 5}.Event()
	want := &event.Binaries{
		Target: "linux/amd64", Files: 1, Binaries: 2, Bytes: 3, Layers: 4, Cached: 5, Findings: []event.BinaryFinding{{
			Level: "error", Rule: "r", Path: "/p", What: "w", Want: "v", Why: "y", LoadedBy: "/l", Layer: "sha256:1", Step: "COPY", Mend: []string{"m"}, Allowed: "**", Reason: "because",
		}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Event (-want +got):\n%s", d)
	}
}

func TestReport_NotesAndRemarks(t *testing.T) {
	r := scan.Report{Findings: []scan.Finding{{Level: scan.Error, Path: "/e"}, {Level: scan.Warning, Path: "/w", What: "odd", Why: "so"}, {Level: scan.Note, Path: "/n", What: "x", Why: "y", Allowed: "/n", Reason: "z"}}}
	if d := cmp.Diff([]event.Note{{Level: event.Warn, Text: "/w is odd: so"}}, r.Notes()); d != "" {
		t.Errorf("Notes (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]event.Note{{Level: event.Info, Text: "/n is x; accepted by verify.allow /n (z)"}}, r.Remarks()); d != "" {
		t.Errorf("Remarks (-want +got):\n%s", d)
	}
}
