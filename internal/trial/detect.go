package trial

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
)

// Machine is what Detect needs of a Docker engine; *engine.Engine has it.
type Machine interface {
	Endpoint() string
	Info(ctx context.Context) (engine.Info, error)
	Load(ctx context.Context, r io.Reader) (refs []string, err error)
	CreateContainer(ctx context.Context, s engine.ContainerSpec) (string, error)
	StartContainer(ctx context.Context, id string) error
	Logs(ctx context.Context, id string, follow bool, line func(engine.LogLine)) error
	RemoveContainer(ctx context.Context, id string) error
	RemoveImage(ctx context.Context, ref string) error
}

const (
	detectTimeout = 60 * time.Second
	// believed is how long an answer of the cache holds: a virtual machine may
	// get another processor without becoming another engine.
	believed = 24 * time.Hour
)

// Detect asks whether the processor that an amd64 engine runs on is emulated, as
// in a whole amd64 virtual machine on an Arm laptop. Such an engine says amd64 of
// itself, and builds as an emulated build does: slowly, with programs that crash.
// The evidence is what the processor says of itself. An engine of another
// architecture is not asked, and gives no evidence.
//
// No API tells this, so a program of 400 bytes is run in a container, about a
// second, whose image is removed afterwards. The answer is kept in the folder
// cache for a day, by the engine's id; an empty cache keeps nothing.
func Detect(ctx context.Context, e Machine, cache string) (evidence string, emulated bool, err error) {
	info, err := e.Info(ctx)
	if err != nil {
		return "", false, err
	}
	if info.OS != "linux" || info.Arch != "amd64" {
		return "", false, nil
	}
	known := remembered(cache, info)
	if evidence, emulated, ok := known.read(time.Now()); ok {
		return evidence, emulated, nil
	}
	asked, cancel := context.WithTimeout(ctx, detectTimeout)
	defer cancel()
	said, err := ask(asked, e)
	if err == nil {
		var p processor
		if p, err = readProcessor(said); err == nil {
			evidence, emulated = p.emulated()
			known.write(time.Now(), evidence, emulated)
			return evidence, emulated, nil
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return "", false, fmt.Errorf("ask the processor of the engine at %s what it is: %w", e.Endpoint(), err)
}

// ask runs the program and returns what it prints.
func ask(ctx context.Context, e Machine) (said string, err error) {
	name := "weelo-deploy-processor-" + strings.ToLower(rand.Text()[:12])
	archive, err := cpuidImage(name)
	if err != nil {
		return "", err
	}
	defer func() {
		left, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		err = errors.Join(err, e.RemoveContainer(left, name), e.RemoveImage(left, name+":latest"))
	}()
	// As for a trial, what is made is made to the end, or nobody could remove it.
	made, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	defer cancel()
	if _, err := e.Load(made, archive); err != nil {
		return "", err
	}
	id, err := e.CreateContainer(made, engine.ContainerSpec{
		Name: name, Image: name + ":latest", Network: "none", ReadonlyRootfs: true, NoNewPrivileges: true, CapDrop: []string{"ALL"}, User: "65534",
	})
	if err != nil {
		return "", err
	}
	if err := e.StartContainer(ctx, id); err != nil {
		return "", err
	}
	err = e.Logs(ctx, id, true, func(l engine.LogLine) { said = l.Text })
	return said, err
}

// cpuidImage is an image with cpuidProgram in the format of `docker save`. The
// name in its config makes it an image of its own, so that two runs at a time do
// not remove each other's.
func cpuidImage(name string) (io.Reader, error) {
	layer, err := archive(file{"cpuid", cpuidProgram()})
	if err != nil {
		return nil, err
	}
	diff := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/cpuid"}, "Labels": map[string]string{"weelo-deploy.processor": name}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(diff[:])}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{name + ":latest"}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return nil, err
	}
	all, err := archive(file{"layer.tar", layer}, file{"config.json", config}, file{"manifest.json", manifest})
	return bytes.NewReader(all), err
}

type file struct {
	name    string
	content []byte
}

func archive(files ...file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.content)), Typeflag: tar.TypeReg}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

// answer is one file of the cache.
type answer struct {
	path string

	At       time.Time `json:"at"`
	Evidence string    `json:"evidence"`
	Emulated bool      `json:"emulated"`
}

// remembered is the cache's file for an engine: one with another id, name or
// size is another machine.
func remembered(cache string, i engine.Info) answer {
	if cache == "" || i.ID == "" {
		return answer{}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d %d", i.ID, i.Name, i.OperatingSystem, i.Version, i.CPUs, i.MemoryBytes))
	return answer{path: filepath.Join(cache, "processor-"+hex.EncodeToString(sum[:8])+".json")}
}

func (a answer) read(now time.Time) (evidence string, emulated, ok bool) {
	if a.path == "" {
		return "", false, false
	}
	b, err := os.ReadFile(a.path)
	if err != nil || json.Unmarshal(b, &a) != nil || a.Evidence == "" || now.Sub(a.At).Abs() > believed {
		return "", false, false
	}
	return clean(a.Evidence), a.Emulated, true
}

// write keeps the answer. A cache that cannot be written is none.
func (a answer) write(now time.Time, evidence string, emulated bool) {
	if a.path == "" || os.MkdirAll(filepath.Dir(a.path), 0o700) != nil {
		return
	}
	a.At, a.Evidence, a.Emulated = now, evidence, emulated
	b, err := json.Marshal(a)
	if err != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(a.path), ".processor-*")
	if err != nil {
		return
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), a.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
}
