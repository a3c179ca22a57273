//go:build packages

package realtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

// server loads every package and says which of them work.
const server = `
const works = {}
for (const [name, use] of Object.entries({
  bcrypt: () => require('bcrypt').hashSync('x', 4),
  sharp: () => require('sharp')({create: {width: 1, height: 1, channels: 3, background: 'red'}}),
  esbuild: () => require('esbuild').transformSync('let a = 1'),
})) {
  try { use(); works[name] = true } catch (e) { works[name] = false }
}
console.log(JSON.stringify(works))
process.exit(0)
`

const modules = "/app/node_modules/"

const app = "WORKDIR /app\nCOPY node_modules /app/node_modules\nCOPY server.js /app/\nCMD [\"node\", \"server.js\"]\n"

// TestDebian: a healthy distribution has no findings, whatever its libraries need.
func TestDebian(t *testing.T) {
	dir := t.TempDir()
	debian(t, filepath.Join(dir, "root"), "?essential", "python3-minimal")
	res := build(t, "weelo-real-debian:essential", dir, "FROM scratch\nCOPY root/ /\nCMD [\"bash\"]\n")
	if got := lines(res, "error warning"); len(got) > 0 {
		t.Errorf("a Debian root file system has findings: %q", got)
	}
	if res.Binaries.Binaries < 500 {
		t.Errorf("only %d binaries were looked at", res.Binaries.Binaries)
	}
}

// TestDemo: the example that is released in the demo has nothing wrong.
func TestDemo(t *testing.T) {
	const name = "weelo-real-demo:orders"
	untag(t, name)
	res := tool(t, "../../../examples/orders", "build", "--name", name, "--json")
	if got := lines(res, "error warning note"); len(got) > 0 || res.Binaries.Binaries != 1 {
		t.Errorf("the demo's image has %d binaries and the findings %q", res.Binaries.Binaries, got)
	}
}

// TestPackages_onDebian installs real packages as npm does on several platforms, and
// holds the verdict against what the container does.
func TestPackages_onDebian(t *testing.T) {
	const base = "weelo-real-debian:node"
	dir := t.TempDir()
	debian(t, filepath.Join(dir, "root"), "nodejs", "base-files")
	healthy := build(t, base, dir, "FROM scratch\nCOPY root/ /\nCMD [\"node\"]\n")
	if got := lines(healthy, "error warning"); len(got) > 0 {
		t.Errorf("Debian's Node has findings: %q", got)
	}
	for platform, want := range map[string][]string{
		"linux-x64": {},
		"linuxmusl-x64": {
			"error prisma-engine " + modules + ".prisma/client/" + engineFile["linuxmusl-x64"],
			"error addon-absent " + modules + "@img/sharp-linuxmusl-x64/lib/sharp-linuxmusl-x64.node",
		},
		"linux-arm64": {
			"error prisma-engine " + modules + ".prisma/client/" + engineFile["linux-arm64"],
			"error addon-absent " + modules + "@esbuild/linux-arm64/bin/esbuild",
			"error addon-absent " + modules + "@img/sharp-linux-arm64/lib/sharp-linux-arm64.node",
		},
		"darwin-arm64": {
			"error prisma-engine " + modules + ".prisma/client/" + engineFile["darwin-arm64"],
			"error addon-absent " + modules + "@esbuild/darwin-arm64/bin/esbuild",
			"error addon-absent " + modules + "@img/sharp-darwin-arm64/lib/sharp-darwin-arm64.node",
		},
	} {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			install(t, dir, platform)
			write(t, dir, "server.js", server)
			res := build(t, "weelo-real-"+platform+":debian", dir, "FROM "+base+"\n"+app)
			if d := cmp.Diff(want, lines(res, "error warning")); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
			exit, said := ran(t, "weelo-real-"+platform+":debian")
			agrees(t, res, exit, said)
			explained(t, res)
		})
	}
}

// agrees holds the verdict against what the packages did in a container.
func agrees(t *testing.T, res event.Result, exit int, said string) {
	t.Helper()
	var works map[string]bool
	if err := json.Unmarshal([]byte(said), &works); err != nil || exit != 0 || len(works) != 3 {
		t.Fatalf("the container ended with %d and said %q, %v", exit, said, err)
	}
	for name, ok := range works {
		refused := slices.ContainsFunc(lines(res, "error"), func(l string) bool { return strings.Contains(l, name) })
		if ok == refused {
			t.Errorf("%s works: %v; refused: %v", name, ok, refused)
		}
	}
}

// explained asks every error for all that a report has to say.
func explained(t *testing.T, res event.Result) {
	t.Helper()
	for _, f := range res.Binaries.Findings {
		if f.Level != "error" {
			continue
		}
		if f.What == "" || f.Want == "" || f.Why == "" || f.LoadedBy != "/usr/bin/node" || !strings.HasPrefix(f.Layer, "sha256:") ||
			f.Step != "COPY node_modules /app/node_modules" || len(f.Mend) == 0 {
			t.Errorf("a finding is not explained: %+v", f)
		}
	}
}

// TestPackages_onMusl is the incident: everything is for amd64, and a glibc add-on in
// a musl process dies of SIGSEGV.
func TestPackages_onMusl(t *testing.T) {
	const base = "weelo-real-musl:base"
	dir := t.TempDir()
	musl(t, filepath.Join(dir, "root"))
	healthy := build(t, base, dir, "FROM scratch\nCOPY root/ /\nCMD [\"node\"]\n")
	if got := lines(healthy, "error warning"); len(got) > 0 {
		t.Errorf("a musl root file system has findings: %q", got)
	}
	for platform, want := range map[string][]string{
		"linuxmusl-x64": {},
		"linux-x64": {
			"error prisma-engine " + modules + ".prisma/client/" + engineFile["linux-x64"],
			"error addon-absent " + modules + "@img/sharp-linux-x64/lib/sharp-linux-x64.node",
		},
	} {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			install(t, dir, platform)
			write(t, dir, "server.js", "")
			res := build(t, "weelo-real-"+platform+":musl", dir, "FROM "+base+"\n"+app)
			if d := cmp.Diff(want, lines(res, "error warning")); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
			explained(t, res)
		})
	}
	// The GNU strerror_r gives a text, musl's a number.
	const source = "#define _GNU_SOURCE\n#include <string.h>\nint add_on(void) { char b[64]; return *strerror_r(22, b, sizeof b); }\n"
	const file = "node_modules/own/build/Release/own.node"
	for cc, want := range map[string]struct {
		exit     int
		findings []string
	}{"gcc": {139, []string{"error addon-wrong /app/" + file}}, "musl-gcc": {0, []string{}}} {
		t.Run("an add-on of "+cc, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
				t.Fatal(err)
			}
			text := source
			if cc == "musl-gcc" {
				text = "int add_on(void) { return 1; }\n"
			}
			library(t, cc, filepath.Join(dir, file), text)
			name := "weelo-real-" + cc + ":musl"
			res := build(t, name, dir, "FROM "+base+"\nCOPY node_modules /app/node_modules\nCMD [\"node\", \"/app/"+file+"\"]\n")
			if d := cmp.Diff(want.findings, lines(res, "error warning")); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
			if exit, said := ran(t, name); exit != want.exit {
				t.Errorf("the container ended with %d, want %d: %s", exit, want.exit, said)
			}
		})
	}
}
