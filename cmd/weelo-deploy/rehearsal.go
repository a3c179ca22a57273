package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

// placeholder stands for every value that a rehearsal must not see.
const placeholder = "rehearsal-placeholder"

// supposeNames lets a folder be rehearsed that nobody has configured: what the
// sandbox has is called as the folder is. It says so.
func (s *session) supposeNames() {
	c, name := s.config, nameOfFolder(s.config.Dir)
	var supposed []string
	for _, n := range []struct {
		key   string
		value *string
		name  string
	}{{"cluster", &c.Cluster, "rehearsal"}, {"service", &c.Service, name}, {"image.repository", &c.Image.Repository, name}} {
		if *n.value == "" {
			*n.value = n.name
			supposed = append(supposed, n.key+" "+n.name)
		}
	}
	if len(supposed) == 0 {
		return
	}
	s.screen.Title(s.command + " " + c.Service)
	s.out.In("")(event.Note{Level: event.Info, Text: "not configured, and supposed for this rehearsal: " + strings.Join(supposed, ", ")})
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// nameOfFolder is a folder's name as one that services and repositories can have.
func nameOfFolder(dir string) string {
	const most = 64
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	name := notInNames.ReplaceAllString(strings.ToLower(filepath.Base(dir)), "-")
	name = strings.Trim(name[:min(most, len(name))], "-")
	if len(name) < 2 || name[0] < 'a' { // ECR wants two characters and a letter first
		name = strings.TrimSuffix("app-"+name, "-")
	}
	return name
}

// rehearsalEnvironment is what the released container gets: every name that the
// configuration sets, with the value of the file or a placeholder. Values of the file
// are real ones: none of them is shown.
func (s *session) rehearsalEnvironment(set release.Settings, file string) (map[string]string, error) {
	env, err := readRehearsalEnvironment(set, file)
	for name, value := range env {
		if value != placeholder {
			s.redact.Add(s.config.SecretsIn(map[string]string{name: value})...)
		}
	}
	return env, err
}

func readRehearsalEnvironment(set release.Settings, file string) (map[string]string, error) {
	env := map[string]string{}
	for name := range set.Environment {
		env[name] = placeholder
	}
	for name := range set.Secrets {
		env[name] = placeholder
	}
	if file == "" {
		return env, nil
	}
	in, err := os.Open(file)
	if err != nil {
		return nil, event.Fail(event.CodeUsage, "--sandbox-env").Because(err)
	}
	defer in.Close()
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		k, v, ok := strings.Cut(text, "=")
		if !ok {
			return nil, event.Fail(event.CodeUsage, fmt.Sprintf("%s:%d: want NAME=value", file, n))
		}
		env[strings.TrimSpace(k)] = v
	}
	return env, lines.Err()
}

// rehearsalBefore are the before-tasks with no value of the real configuration: those
// that env has, and placeholders. They run in the sandbox, and reach nothing outside.
func rehearsalBefore(tasks []release.BeforeTask, env map[string]string) []release.BeforeTask {
	out := slices.Clone(tasks)
	for i, b := range out {
		out[i].Environment = map[string]string{}
		for name := range b.Environment {
			out[i].Environment[name] = cmp.Or(env[name], placeholder)
		}
	}
	return out
}

// rehearsalSeed is a sandbox in which the service exists and serves revision 1,
// with a small built-in image.
func rehearsalSeed(set release.Settings, repository string) (*seed.Seed, error) {
	container := set.Container
	if container == "" {
		container = repository[strings.LastIndex(repository, "/")+1:]
	}
	family, cluster, service := history.Short(set.Service), history.Short(set.Cluster), history.Short(set.Service)
	definition, err := json.Marshal(map[string]any{
		"networkMode": "awsvpc", "requiresCompatibilities": []string{"FARGATE"}, "cpu": "256", "memory": "512",
		"containerDefinitions": []any{map[string]any{
			"name": container, "image": seed.Registry + "/" + repository + ":stable", "essential": true,
			"logConfiguration": map[string]any{"logDriver": "awslogs", "options": map[string]string{
				"awslogs-group": "/rehearsal/" + service, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "rehearsal",
			}},
		}},
	})
	if err != nil {
		return nil, err
	}
	settings, err := json.Marshal(map[string]any{
		"launchType":           "FARGATE",
		"networkConfiguration": map[string]any{"awsvpcConfiguration": map[string]any{"subnets": []string{"subnet-rehearsal"}}},
	})
	if err != nil {
		return nil, err
	}
	return &seed.Seed{
		Clusters:        []seed.Cluster{{Name: cluster}},
		LogGroups:       []seed.LogGroup{{Name: "/rehearsal/" + service}},
		Repositories:    []seed.Repository{{Name: repository, Images: []seed.Image{{Name: "stable", Tags: []string{"stable"}, Builtin: &seed.Builtin{Program: "idle"}}}}},
		TaskDefinitions: []seed.Revision{{Family: family, Revision: 1, Definition: seed.JSON{Raw: definition}}},
		Services: []seed.Service{{
			Cluster: cluster, Name: service, Family: family, DesiredCount: 1, Settings: seed.JSON{Raw: settings},
			Deployments: []seed.Deployment{{Revision: 1, Outcome: seed.Successful, CreatedAt: seed.Ago(time.Hour), Digests: map[string]string{container: "stable"}}},
		}},
	}, nil
}
