package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weelo/weelo-deploy/internal/redact"
)

func TestValues_nameTheirOrigin(t *testing.T) {
	c := load(t, "cluster: a\nimage: {repository: web}\nenvironments:\n  prod: {cluster: b}\n", Options{
		Env: "prod", Environ: []string{"WEELO_DEPLOY_REGION=eu-west-1"}, Flags: map[string]string{"service": "api"},
	})
	var got []string
	for _, v := range c.Values() {
		got = append(got, v.Path+" = "+v.Text+" from "+v.Origin.String())
	}
	want := []string{
		"region = eu-west-1 from WEELO_DEPLOY_REGION", "cluster = b from weelo-deploy.yaml:4:19", "service = api from --service",
		"image.repository = web from weelo-deploy.yaml:2:21", "image.tags[0] = {{.GitSHA}} from default",
		"build.context = " + c.Dir + " from default", "build.dockerfile = " + c.Build.Dockerfile + " from default",
		"build.platform = linux/amd64 from default", "build.on = docker from default",
		"release.timeout = 10m from default", "release.bake = 30s from default", "release.tolerate = 0 from default",
		"release.rollback = on-failure from default", "release.backstop = enforce from default",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
}

func TestValues_maskWhatMayBeSecret(t *testing.T) {
	c := load(t, `
build: {args: {API_TOKEN: tok-hunter2, NODE_ENV: production}}
task: {environment: {REDIS_URL: "redis://u:hunter2@cache", LOG_LEVEL: info, KEY: "${KEY}"}}
verify: {trial: {env: {X: "something hunter2 like"}}}
notify: [{url: "https://hooks.example.com/hunter2"}]
`, Options{Environ: []string{"KEY=hunter2-key"}})
	text := YAML(c.Values(), true)
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret is shown:\n%s", text)
	}
	for _, want := range []string{"NODE_ENV: production", "LOG_LEVEL: info", "API_TOKEN: " + quoteYAML(redact.Mask)} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not shown:\n%s", want, text)
		}
	}
}

// TestYAML_loadsAgain: what is shown means what was loaded.
func TestYAML_loadsAgain(t *testing.T) {
	text := `
account: "012345678901"
cluster: "123"
image: {repository: web, tags: ["{{.GitSHA}}", "v1"]}
build: {before: ["a: b", "x # y", "- z", "echo ${HOME}"], secrets: [{id: a, file: /b}, {id: c, env: D}], args: {A: "true", "B": "1.10"}, labels: {"a.b/c": "x: y $${X}"}}
release: {bake: 0s, requireClean: false, before: [{command: ["sh", "-c", "a && b"], timeout: 5m}, {command: [x]}]}
verify: {allow: ["a/*.node", {path: "b: c", reason: "known #1"}]}
checks: {http: [{name: h, url: "https://a", expect: {json: {"a.b": "c: d"}}}]}
task: {environment: {A: "info", B: "3000", C: "on"}}
`
	c := load(t, text, Options{})
	shown := YAML(c.Values(), true)
	if o := c.Origin("verify.allow[0].path"); o.Line != 7 {
		t.Errorf("a text that stands alone comes from %s", o)
	}
	again := load(t, shown, Options{})
	if d := cmp.Diff(c.Settings, again.Settings, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("settings (-loaded +shown and loaded again):\n%s\n%s", d, shown)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"web": "web", "npm run build": "npm run build", "weelo/backend:v1": "weelo/backend:v1", "linux/amd64": "linux/amd64",
		"3000": `"3000"`, "true": `"true"`, "": `""`, "a: b": `"a: b"`, "a #b": `"a #b"`, "- a": `"- a"`, "*a": `"*a"`, "x:": `"x:"`,
		"2026-01-01": `"2026-01-01"`, "a\nb": `"a\nb"`, "${A}": `"$${A}"`, "é": `"é"`, "~": `"~"`, "~/x": "~/x",
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
}
