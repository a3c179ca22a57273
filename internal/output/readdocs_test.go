package output

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sources are the syntax trees of the Go files of a folder, tests left out.
func sources(t *testing.T, dir string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	var out []*ast.File
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

// structs are the JSON members of every struct of the files, as "name: when".
func structs(files []*ast.File) map[string][]string {
	out := map[string][]string{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				out[spec.Name.Name] = tagged(s)
			}
			return true
		})
	}
	return out
}

func tagged(s *ast.StructType) []string {
	var out []string
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		when := "always"
		if id, ok := f.Type.(*ast.Ident); ok && id.Name == "bool" && options != "" {
			when = "when true"
		} else if options != "" {
			when = "known"
		}
		out = append(out, name+": "+when)
	}
	return out
}

// The answers of the read commands live in package main, which nobody can
// import, so their source is read.
func TestDocs_readCommands(t *testing.T) {
	text, have := readDocs(t), structs(sources(t, "../../cmd/weelo-deploy"))
	maps.Copy(have, structs(sources(t, "../doctor")))
	maps.Copy(have, structs(sources(t, "../timeline")))
	for heading, name := range map[string]string{
		"### status": "statusReport", "#### status deployments": "statusDeployment", "#### status tasks": "statusTask", "#### status images": "statusImage",
		"### history": "historyReport", "#### history deployments": "historyEntry", "#### history passedOver": "historyPass", "### version": "versionInfo",
		"### logs": "logsReport", "#### logs entries": "Entry",
		"### init": "initReport", "### doctor": "doctorReport", "#### doctor checks": "Finding", "### config show": "configReport", "#### config show values": "configValue",
	} {
		got := []string{}
		for _, m := range memberRow.FindAllStringSubmatch(section(t, text, heading), -1) {
			got = append(got, m[1]+": "+m[3])
		}
		if d := cmp.Diff(have[name], got); d != "" {
			t.Errorf("%s (-%s +docs):\n%s", heading, name, d)
		}
	}
}
