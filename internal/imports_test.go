package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/weelo/weelo-deploy/"

// allowed lists, for each package of ours, which others of ours it may import.
// The arrows of ARCHITECTURE.md run one way because of this table: a package
// that is not in it fails the test.
var allowed = map[string][]string{
	"schema": {},

	"internal/event":   {},
	"internal/nearest": {},
	"internal/redact":  {},
	"internal/engine":  {},
	"internal/history": {},
	"internal/iam":     {},

	"internal/jsonpath": {},

	"internal/build":   {"internal/engine", "internal/event", "internal/nearest", "internal/redact"},
	"internal/image":   {"internal/engine", "internal/event", "internal/nearest"},
	"internal/taskdef": {"internal/event", "internal/nearest"},

	"internal/image/imagetest": {},

	"internal/output":           {"internal/event", "internal/nearest", "internal/redact", "internal/output/chronicle", "internal/output/page", "internal/output/panel", "internal/output/summary", "internal/output/words"},
	"internal/output/chronicle": {"internal/event", "internal/output/words"},
	"internal/output/page":      {"internal/event", "internal/output/chronicle", "internal/output/words"},
	"internal/output/panel":     {"internal/event", "internal/output/chronicle", "internal/output/words"},
	"internal/output/summary":   {"internal/event", "internal/output/chronicle", "internal/output/words"},
	"internal/output/words":     {},

	"internal/output/outputtest": {},

	"internal/timeline": {"internal/health", "internal/history"},

	"internal/codebuild":     {"internal/build", "internal/event"},
	"internal/notify":        {"internal/event", "internal/redact"},
	"internal/trial":         {"internal/engine", "internal/event"},
	"internal/health":        {"internal/event"},
	"internal/onetask":       {"internal/event", "internal/health"},
	"internal/check":         {"internal/event", "internal/jsonpath"},
	"internal/config":        {"internal/event", "internal/jsonpath", "internal/nearest", "internal/redact"},
	"internal/doctor":        {"internal/event", "internal/history", "internal/iam", "internal/image", "internal/release", "internal/taskdef"},
	"internal/scaffold":      {"internal/config"},
	"internal/scan":          {"internal/event", "internal/scan/layer", "internal/scan/native", "internal/scan/rootfs"},
	"internal/scan/native":   {},
	"internal/scan/layer":    {"internal/scan/native"},
	"internal/scan/rootfs":   {"internal/scan/layer"},
	"internal/scan/scantest": {},
	"internal/scan/realtest": {},
	"internal/release":       {"internal/build", "internal/check", "internal/engine", "internal/event", "internal/health", "internal/history", "internal/iam", "internal/image", "internal/nearest", "internal/onetask", "internal/scan", "internal/taskdef", "internal/trial"},
}

// sandboxMay is what the packages of the sandbox may import besides each other:
// it must not share our misunderstandings of AWS.
var sandboxMay = []string{"internal/engine"}

type pkg struct {
	ImportPath, Standard string
	Imports              []string
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range ours(p.Imports) {
			if !mayImport(t, name, imp) {
				t.Errorf("%s imports %s", name, imp)
			}
		}
	}
}

func mayImport(t *testing.T, name, imp string) bool {
	switch {
	case strings.HasPrefix(name, "cmd/"):
		return true
	case strings.HasPrefix(name, "examples/"), strings.HasPrefix(name, "bench/"), strings.HasPrefix(name, "scripts/"):
		return true
	case name == "internal/engine/enginetest":
		return imp == "internal/engine"
	case strings.HasPrefix(name, "internal/sandbox"):
		return strings.HasPrefix(imp, "internal/sandbox") || slices.Contains(sandboxMay, imp)
	}
	list, known := allowed[name]
	if !known {
		t.Errorf("%s is not in the table of allowed imports", name)
	}
	return slices.Contains(list, imp)
}

// TestOnePackageTalksToDocker keeps the switch from docker/docker to its
// successor a change of one package.
func TestOnePackageTalksToDocker(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, "github.com/docker/docker/") && name != "internal/engine" {
				t.Errorf("%s imports %s", name, imp)
			}
		}
	}
}

// TestOnlyCommandsConfigureAWS keeps the reading of the user's AWS configuration
// in one place, so that a rehearsal cannot reach production by another.
func TestOnlyCommandsConfigureAWS(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if slices.Contains(p.Imports, "github.com/aws/aws-sdk-go-v2/config") && name != "cmd/weelo-deploy" {
			t.Errorf("%s imports the AWS configuration loader", name)
		}
	}
}

func ours(imports []string) []string {
	var out []string
	for _, i := range imports {
		if rest, ok := strings.CutPrefix(i, module); ok {
			out = append(out, rest)
		}
	}
	return out
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list named %d packages, want all of ours", len(all))
	}
	return all
}
