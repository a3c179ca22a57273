package builds

import (
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"
	"go.yaml.in/yaml/v4"
)

// buildspec is what of a buildspec (version 0.2) the sandbox knows.
type buildspec struct {
	Version string `yaml:"version"`
	Env     struct {
		Variables map[string]string `yaml:"variables"`
		Exported  []string          `yaml:"exported-variables"`
	} `yaml:"env"`
	Phases struct {
		Install   commands `yaml:"install"`
		PreBuild  commands `yaml:"pre_build"`
		Build     commands `yaml:"build"`
		PostBuild commands `yaml:"post_build"`
	} `yaml:"phases"`
}

type commands struct {
	Commands []string `yaml:"commands"`
}

// commandFailed is how CodeBuild begins, but for the command's text.
const commandFailed = "Error while executing command. Reason: "

// stopDelay is how long a stopped build waits for its output to end.
const stopDelay = 5 * time.Second

// run is the life of one build.
func (s *Store) run(ctx context.Context, b *build, source, spec string, vars []types.EnvironmentVariable) {
	defer b.stop()
	dir, err := os.MkdirTemp("", "weelo-deploy-build-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = s.phases(ctx, b, dir, source, spec, vars)
	}
	status := types.StatusTypeSucceeded
	if err != nil {
		s.say(b, "Phase context status code: COMMAND_EXECUTION_ERROR Message: "+err.Error())
		status = types.StatusTypeFailed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(b, status)
}

func (s *Store) phases(ctx context.Context, b *build, dir, source, text string, vars []types.EnvironmentVariable) error {
	var spec buildspec
	if err := s.phase(b, "DOWNLOAD_SOURCE", func() error {
		if err := yaml.Load([]byte(text), &spec, yaml.WithKnownFields()); err != nil {
			return fmt.Errorf("YAML_FILE_ERROR: %w", err)
		}
		archive, size, err := s.cfg.Objects.Open(source)
		if err != nil {
			return err
		}
		defer archive.Close()
		return unzip(archive, size, dir)
	}); err != nil {
		return err
	}
	env := append(s.cfg.Env(), "CODEBUILD_BUILD_ID="+*b.Id, "CODEBUILD_BUILD_ARN="+*b.Arn, "CODEBUILD_SRC_DIR="+dir, "CODEBUILD_INITIATOR=sandbox")
	for k, v := range spec.Env.Variables {
		env = append(env, k+"="+v)
	}
	for _, v := range vars {
		env = append(env, aws.ToString(v.Name)+"="+aws.ToString(v.Value))
	}
	exports := filepath.Join(dir, ".exports")
	for _, p := range []struct {
		name string
		commands
	}{{"INSTALL", spec.Phases.Install}, {"PRE_BUILD", spec.Phases.PreBuild}, {"BUILD", spec.Phases.Build}, {"POST_BUILD", spec.Phases.PostBuild}} {
		if len(p.Commands) == 0 {
			continue
		}
		if err := s.phase(b, p.name, func() error { return s.shell(ctx, b, dir, exports, env, spec.Env.Exported, p.Commands) }); err != nil {
			return err
		}
	}
	return s.export(b, exports, spec.Env.Exported)
}

// phase notes how one phase went.
func (s *Store) phase(b *build, name string, do func() error) error {
	began := s.cfg.Now()
	s.mu.Lock()
	if !b.BuildComplete {
		b.CurrentPhase = &name
	}
	s.mu.Unlock()
	s.say(b, "Entering phase "+name)
	err := do()
	p := types.BuildPhase{PhaseType: types.BuildPhaseType(name), PhaseStatus: types.StatusTypeSucceeded, StartTime: &began, EndTime: aws.Time(s.cfg.Now())}
	if err != nil {
		p.PhaseStatus = types.StatusTypeFailed
		p.Contexts = []types.PhaseContext{{StatusCode: aws.String("COMMAND_EXECUTION_ERROR"), Message: aws.String(err.Error())}}
	}
	s.mu.Lock()
	b.Phases = append(b.Phases, p)
	s.mu.Unlock()
	return err
}

// shell runs the commands of a phase in one shell, as CodeBuild does.
func (s *Store) shell(ctx context.Context, b *build, dir, exports string, env, exported, lines []string) error {
	script := "set -e\n" + strings.Join(lines, "\n") + "\n"
	for _, name := range exported {
		script += fmt.Sprintf("[ -z \"${%[1]s+x}\" ] || printf '%%s=%%s\\n' %[1]s \"$%[1]s\" >>\"$0\"\n", name)
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", script, exports)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, env, stopDelay
	endWithChildren(cmd)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	done := make(chan struct{})
	go func() {
		defer close(done)
		in := bufio.NewReaderSize(r, 64<<10)
		for { // a line that is longer comes in parts
			line, _, err := in.ReadLine()
			if err != nil {
				return
			}
			s.say(b, string(line))
		}
	}()
	err := cmd.Run()
	w.Close()
	<-done
	if err != nil {
		return errors.New(commandFailed + err.Error())
	}
	return nil
}

// export reads the exported variables that the commands have set.
func (s *Store) export(b *build, path string, names []string) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	last := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			last[name] = value
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if v, ok := last[name]; ok {
			b.ExportedEnvironmentVariables = append(b.ExportedEnvironmentVariables, types.ExportedEnvironmentVariable{Name: &name, Value: &v})
		}
	}
	return nil
}

func (s *Store) say(b *build, line string) {
	s.cfg.Logs.Append(*b.Logs.GroupName, *b.Logs.StreamName, s.cfg.Now(), "[Container] "+line)
}

// unzip unpacks an archive's files; names that leave the folder are refused.
func unzip(archive io.ReaderAt, size int64, dir string) error {
	z, err := zip.NewReader(archive, size)
	if err != nil {
		return fmt.Errorf("the source is no zip archive: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range z.File {
		if err := extract(root, f); err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
	}
	return nil
}

func extract(root *os.Root, f *zip.File) error {
	if f.FileInfo().IsDir() {
		return root.MkdirAll(strings.TrimSuffix(f.Name, "/"), 0o755)
	}
	if err := root.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	// Without the modes of the archive: nobody has promised that CodeBuild keeps them.
	out, err := root.OpenFile(f.Name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
