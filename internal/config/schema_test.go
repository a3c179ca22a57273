package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

const schemaFile = "../../schema/weelo-deploy.schema.json"

func TestSchema_isGenerated(t *testing.T) {
	got := generate(t)
	if *update {
		put(t, schemaFile, got)
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s is not what the types say; run go generate ./schema (-file +types):\n%s", schemaFile, d)
	}
}

// validator is the schema file, read by a validator that is not ours.
func validator(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate is what the schema says of a YAML file.
func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	plain, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// TestSchema_agreesWithTheLoader: an editor shows a mistake where loading would
// refuse it, and nothing else.
func TestSchema_agreesWithTheLoader(t *testing.T) {
	s := validator(t)
	for _, text := range []string{
		full, "", "cluster: web\n", "cluster:\nimage:\n  tags:\n", "account: 318774499084\n", "account: \"318774499084\"\n",
		"account: 12\n", "account: x\n", "cluster: 5\n", "cluster: [a]\n", "cluster: a b\n", "clustre: a\n", "region: Mumbai\n", "region: ${REGION}\n",
		"image: {tags: []}\n", "image: {tags: [a, b]}\n", "image: {tags: a}\n", "image: {tags: [1]}\n", "image: web\n", "image: {repository: https://x/y}\n",
		"build: {args: {A: 1, B: true, C: x, D: 1.10}}\n", "build: {args: {A-B: x}}\n", "build: {args: {A: [x]}}\n", "build: {args: [x]}\n",
		"build: {platform: linux/arm64}\n", "build: {platform: linux/arm}\n", "build: {platform: \"${P}\"}\n",
		"build: {allowEmulation: true}\n", "build: {allowEmulation: \"yes\"}\n", "build: {allowEmulation: 1}\n",
		"build: {secrets: [{id: a, file: b}]}\n", "build: {secrets: [{id: a}]}\n", "build: {secrets: [{file: b}]}\n", "build: {secrets: [{id: a, file: b, env: C}]}\n",
		"build: {cacheTo: [inline]}\n", "build: {cacheTo: [registry]}\n", "build: {before: [\"\"]}\n", "build: {before: npm}\n",
		"verify: {trial: {seconds: 5}}\n", "verify: {trial: {seconds: 0}}\n", "verify: {trial: {seconds: 601}}\n", "verify: {trial: {seconds: 1.5}}\n", "verify: {trial: {seconds: \"5\"}}\n",
		"verify: {allow: [a.node]}\n", "verify: {allow: [{path: a.node, reason: x}]}\n", "verify: {allow: [{reason: x}]}\n", "verify: {allow: [5]}\n", "verify: {allow: [[a]]}\n", "verify: {allow: [{path: a, why: x}]}\n",
		"task: {base: latest}\n", "task: {base: newest}\n", "task: {container: a/b}\n", "task: {environment: {PORT: 3000}}\n", "task: {environment: {\"A B\": x}}\n",
		"task: {secrets: {DB: arn}}\n", "task: {secrets: {DB: \" \"}}\n",
		"release: {timeout: 10m, bake: 0s}\n", "release: {timeout: 10}\n", "release: {timeout: ten}\n", "release: {bake: 1m30s}\n",
		"release: {tolerate: 2}\n", "release: {tolerate: 10%}\n", "release: {tolerate: 101%}\n", "release: {tolerate: some}\n",
		"release: {rollback: never}\n", "release: {rollback: no-way}\n", "release: {requireClean: true}\n",
		"release: {before: [{command: [a]}]}\n", "release: {before: [{command: []}]}\n", "release: {before: [{timeout: 5m}]}\n",
		"checks: {http: [{name: a, url: \"https://a\"}]}\n", "checks: {http: [{name: a}]}\n", "checks: {logs: [{name: a, contains: b, within: 60s}]}\n", "checks: {logs: [{name: a}]}\n",
		"checks: {logs: [{name: a, absent: b}]}\n", "checks: {logs: [{name: a, absent: b, matches: c}]}\n",
		"checks: {http: [{name: a, url: \"https://a\", expect: {status: 200}}]}\n", "checks: {http: [{name: a, url: \"https://a\", expect: {status: [200, 204]}}]}\n",
		"checks: {http: [{name: a, url: \"https://a\", expect: {status: 20}}]}\n", "checks: {http: [{name: a, url: \"https://a\", expect: {status: [20]}}]}\n",
		"checks: {http: [{name: a, url: \"https://a\", expect: {json: {a.b: 1, c: true}}}]}\n", "checks: {http: [{name: a, url: \"https://a\", method: get}]}\n",
		"notify: [{url: \"https://h.example.com\", on: [failed]}]\n", "notify: [{on: [failed]}]\n", "notify: [{url: \"https://h.example.com\", on: [never]}]\n", "notify: [{url: \"https://h.example.com\", on: []}]\n",
		"environments: {prod: {cluster: a}}\n", "environments: {prod: }\n", "environments: {prod: {clustre: a}}\n", "environments: {prod: {environments: {}}}\n",
		"environments: {\"-x\": {}}\n", "environments: [prod]\n", "environments: {prod: {build: {platform: vax}}}\n",
	} {
		_, refused := Load(Options{Dir: write(t, text), Environ: []string{"REGION=ap-south-1", "P=linux/amd64", "HOME=/h"}})
		shown := validate(t, s, text)
		if (refused == nil) != (shown == nil) {
			t.Errorf("%q:\nloading says %v\nthe schema says %v", text, refused, shown)
		}
	}
}

// TestSchema_isWeakerOnlyWhereItMustBe lists what only loading can find: rules that
// are code, and what is wrong between values.
func TestSchema_isWeakerOnlyWhereItMustBe(t *testing.T) {
	s := validator(t)
	for _, text := range []string{
		"image: {tags: [\"{{.GitSha}}\"]}\n", "image: {repository: Web}\n", "build: {context: \"http://x\"}\n", "build: {on: \"ftp://x\"}\n",
		"release: {timeout: 1ms}\n", "verify: {allow: [\"[\"]}\n", "notify: [{url: \"ftp://x\"}]\n", "region: ${NOPE}\n", "task: {environment: {A: x}, secrets: {A: arn}}\n",
		"checks: {http: [{name: a, url: \"https://a\", method: POST}]}\n", "checks: {http: [{name: a, url: \"https://a\", same: body}]}\n",
	} {
		if _, err := Load(Options{Dir: write(t, text)}); err == nil {
			t.Errorf("%q loads, want it refused", text)
		}
		if err := validate(t, s, text); err != nil {
			t.Errorf("%q: the schema finds it: move it to the cases that agree\n%v", text, err)
		}
	}
}

func TestSchema_requiresWhatTheLoaderRequires(t *testing.T) {
	docs := documented(t)
	for path, keys := range required {
		for _, k := range keys {
			if docs[path+"."+k].fallback != "required" {
				t.Errorf("docs do not call %s.%s required", path, k)
			}
		}
		if _, err := Load(Options{Dir: write(t, entryAt(path))}); err == nil || !strings.Contains(err.Error(), "needs") {
			t.Errorf("an empty entry of %s: %v, want that a key is needed", path, err)
		}
	}
	for path, k := range docs {
		entry, name, _ := cutLast(path)
		if k.fallback == "required" && !slices.Contains(required[entry], name) {
			t.Errorf("docs call %s required, the schema does not", path)
		}
	}
}

// entryAt is a file whose list at a rule path ("release.before[]") has one entry
// without keys.
func entryAt(path string) string {
	text := "[{}]"
	for _, k := range slices.Backward(strings.Split(strings.TrimSuffix(path, "[]"), ".")) {
		text = fmt.Sprintf("{%s: %s}", k, text)
	}
	return text + "\n"
}

func cutLast(path string) (before, last string, ok bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
