package codebuild

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
)

// exported is the variable by which the build says what it pushed.
const exported = "PUSHED_IMAGE"

// archive is the file that the source holds: a tar archive, since nobody promises
// that CodeBuild keeps modes and links of a zip archive.
const archive = "sources.tar.gz"

// Folders of the archive.
const (
	contextDir    = "context"
	dockerfileDir = "dockerfile"
	contextsDir   = "contexts"
	toolFile      = "weelo-deploy"
)

var (
	digestForm  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	releaseForm = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+)$`)
)

// releases is where the tool is downloaded from when this program does not run on
// the build's machine.
const releases = "https://github.com/weelo/weelo-deploy/releases/download"

// fits says whether this program itself runs on the machine.
func (t Tool) fits(machine string) bool { return t.Executable != "" && t.Platform == machine }

// commands bring the tool into the build's folder.
func (t Tool) commands(machine string) ([]string, error) {
	if t.fits(machine) {
		return nil, nil // it is in the archive
	}
	m := releaseForm.FindStringSubmatch(t.Version)
	if m == nil {
		return nil, event.Fail(event.CodeUnsupported, fmt.Sprintf("this weelo-deploy (%s, %s) is no release, so CodeBuild cannot download it for %s", t.Version, t.Platform, machine)).
			Hint("install a release of weelo-deploy")
	}
	file := fmt.Sprintf("weelo-deploy_%s_%s.tar.gz", m[1], strings.ReplaceAll(machine, "/", "_"))
	base := releases + "/v" + m[1] + "/"
	return []string{
		"curl -fsSL --retry 3 -o " + file + " " + base + file,
		"curl -fsSL --retry 3 -o checksums.txt " + base + "checksums.txt",
		"grep ' " + file + "$' checksums.txt | sha256sum -c -",
		"tar -xzf " + file + " " + toolFile,
	}, nil
}

// buildspec is what the build does. The story goes to its log; stdout is the
// image that was pushed.
func (t Tool) buildspec(r Request, machine string) (string, error) {
	get, err := t.commands(machine)
	if err != nil {
		return "", err
	}
	words := []string{"./" + toolFile, "build", "--push", "--output", "plain", "--config", "weelo-deploy.yaml", "--tag", r.Tag}
	if r.Build.NoCache {
		words = append(words, "--no-cache")
	}
	if r.Verify.NoTrial {
		words = append(words, "--no-trial")
	}
	if r.Build.Pull {
		words = append(words, "--pull")
	}
	commands := append([]string{"tar -xzf " + archive}, get...)
	commands = append(commands, exported+`="$(`+strings.Join(words, " ")+`)"`, "export "+exported)
	// JSON is YAML, and quotes by rules that everybody agrees on.
	b, err := json.MarshalIndent(map[string]any{
		"version": "0.2",
		"env":     map[string]any{"exported-variables": []string{exported}},
		"phases":  map[string]any{"build": map[string]any{"commands": commands}},
	}, "", "  ")
	return string(b), err
}

// config is the configuration file of the build: the same build, with paths in
// the archive, and the values as they are.
func (r Request) config() ([]byte, error) {
	b := r.Build
	contexts := map[string]string{}
	for i, c := range r.folders() {
		contexts[c.name] = fmt.Sprintf("%s/%d", contextsDir, i)
	}
	for name, c := range b.Contexts {
		if _, folder := contexts[name]; !folder {
			contexts[name] = plain(c)
		}
	}
	settings := map[string]any{
		"context": contextDir, "dockerfile": dockerfileDir + "/" + filepath.Base(b.Dockerfile), "platform": b.Platform,
	}
	add := func(key string, v any, set bool) {
		if set {
			settings[key] = v
		}
	}
	add("target", b.Target, b.Target != "")
	add("args", values(b.Args), len(b.Args) > 0)
	add("labels", values(b.Labels), len(b.Labels) > 0)
	add("contexts", contexts, len(contexts) > 0)
	add("cacheFrom", texts(b.CacheFrom), len(b.CacheFrom) > 0)
	add("cacheTo", b.CacheTo, len(b.CacheTo) > 0)
	add("allowEmulation", true, b.AllowEmulation)
	verify := map[string]any{}
	if len(r.Verify.Allow) > 0 {
		verify["allow"] = texts(r.Verify.Allow)
	}
	if r.Verify.Seconds > 0 {
		verify["trial"] = map[string]any{"seconds": r.Verify.Seconds}
	}
	return json.MarshalIndent(map[string]any{"image": map[string]any{"repository": r.Repository}, "build": settings, "verify": verify}, "", "  ")
}

// plain keeps text from being taken for a variable: a $ is written twice in the
// configuration file.
func plain(s string) string { return strings.ReplaceAll(s, "$", "$$") }

func texts(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = plain(s)
	}
	return out
}

func values(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = plain(v)
	}
	return out
}
