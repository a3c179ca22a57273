package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// side is a registry in a process of its own.
type side struct {
	name           string
	command        []string
	url            string // empty: the process says it
	user, password string

	process       *exec.Cmd
	pushes, pulls []float64 // MB a second, of each run
	highest       int64
}

// ours is a sandbox, with a state when a folder is given.
func ours(name, state string) *side {
	s := &side{name: name, command: []string{os.Args[0], "-serve"}}
	if state != "" {
		s.command = append(s.command, "-state", state)
	}
	return s
}

// beRegistry serves a sandbox without services until the context ends. It says where,
// and what the password is.
func beRegistry(ctx context.Context, state string) error {
	s, err := sandbox.Start(ctx, sandbox.Config{Listen: "127.0.0.1:0", State: state, Runtime: scripted.New()})
	if err != nil {
		return err
	}
	if err := s.Images().CreateRepository(repository, false); err != nil {
		return errors.Join(err, s.Close())
	}
	user, password := s.Credentials()
	fmt.Println(s.URL(), user, password)
	<-ctx.Done()
	return s.Close()
}

// debian is Debian's docker-registry, unpacked in the folder; nil when it cannot be
// had, and why.
func debian(ctx context.Context, dir string) (*side, error) {
	fetch := exec.CommandContext(ctx, "apt-get", "-q", "download", "docker-registry")
	fetch.Dir = dir
	if out, err := fetch.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "docker-registry_*.deb"))
	if err != nil || len(packages) != 1 {
		return nil, fmt.Errorf("apt-get has brought %v", packages)
	}
	if out, err := exec.CommandContext(ctx, "dpkg", "-x", packages[0], filepath.Join(dir, "peer")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "peer.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n",
		filepath.Join(dir, "data"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return &side{name: "docker-registry", url: "http://" + address,
		command: []string{filepath.Join(dir, "peer", "usr", "bin", "docker-registry"), "serve", config}}, nil
}

// start returns when the registry answers.
func (s *side) start(ctx context.Context) error {
	s.process = exec.Command(s.command[0], s.command[1:]...)
	s.process.Stderr = os.Stderr
	if s.url == "" {
		out, err := s.process.StdoutPipe()
		if err == nil {
			err = s.process.Start()
		}
		if err != nil {
			return err
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			return err
		}
		_, err = fmt.Sscan(line, &s.url, &s.user, &s.password)
		return err
	}
	if err := s.process.Start(); err != nil {
		return err
	}
	for {
		c, err := net.Dial("tcp4", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// peak is the most memory that the process ever had resident, in bytes; 0 where the
// system does not say.
func (s *side) peak() int64 {
	if s.process.Process == nil {
		return s.highest
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return s.highest
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64) // the kernel's own form
			s.highest = kib << 10
		}
	}
	return s.highest
}

func (s *side) stop() error {
	if err := s.process.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	err := s.process.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) && s.user == "" {
		return nil // the peer ends by its signal
	}
	return err
}
