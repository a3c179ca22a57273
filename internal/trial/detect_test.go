package trial

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
)

// counted counts what Detect does in an engine.
type counted struct {
	*watched
	loaded []string
}

func (c *counted) Load(ctx context.Context, r io.Reader) ([]string, error) {
	refs, err := c.watched.Load(ctx, r)
	c.loaded = append(c.loaded, refs...)
	return refs, err
}

// TestDetect_Engine compares with what the kernel of this machine says: the
// engine of the tests runs on it.
func TestDetect_Engine(t *testing.T) {
	t.Parallel()
	e := &counted{watched: open(t)}
	cache := t.TempDir()
	evidence, emulated, err := Detect(t.Context(), e, cache)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^model name\s*: (.+)$`).FindStringSubmatch(string(b))
	if m == nil || !strings.Contains(evidence, strings.TrimSpace(m[1])) {
		t.Errorf("Detect = %q, want the model name %q", evidence, m)
	}
	if strings.Contains(evidence, "emulated") != emulated {
		t.Errorf("Detect = %q, %v", evidence, emulated)
	}
	if len(e.loaded) != 1 {
		t.Fatalf("loaded %q, want one image", e.loaded)
	}
	if _, err := e.Image(t.Context(), e.loaded[0]); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the image: %v, want it removed", err)
	}
	again, _, err := Detect(t.Context(), e, cache)
	if err != nil || again != evidence || len(e.loaded) != 1 {
		t.Errorf("Detect again = %q, %v with %d images; want it from the cache", again, err, len(e.loaded))
	}
}

func TestDetect_Cancelled(t *testing.T) {
	t.Parallel()
	e := &counted{watched: open(t)}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	_, _, err := Detect(ctx, interrupting{e, func() { cancel(why) }}, "")
	if !errors.Is(err, why) {
		t.Errorf("Detect = %v, want %v", err, why)
	}
	if _, err := e.Image(t.Context(), e.loaded[0]); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the image: %v, want it removed", err)
	}
}

// interrupting calls then after the image was loaded.
type interrupting struct {
	*counted
	then func()
}

func (i interrupting) Load(ctx context.Context, r io.Reader) ([]string, error) {
	defer i.then()
	return i.counted.Load(ctx, r)
}

func TestDetect_OtherMachinesAreNotAsked(t *testing.T) {
	evidence, emulated, err := Detect(t.Context(), otherMachine{&fake{arch: "arm64"}}, "")
	if evidence != "" || emulated || err != nil {
		t.Errorf("Detect = %q, %v, %v; want nothing", evidence, emulated, err)
	}
}

type otherMachine struct{ *fake }

func (otherMachine) Load(context.Context, io.Reader) ([]string, error) {
	return nil, errors.New("must not be called")
}
func (otherMachine) RemoveImage(context.Context, string) error { return nil }

func TestProcessor_Emulated(t *testing.T) {
	for _, c := range []struct {
		name string
		p    processor
		yes  bool
		want string
	}{
		{"a cloud's machine", processor{"AuthenticAMD", "KVMKVMKVM", "AMD EPYC"}, false, `"AMD EPYC" of "AuthenticAMD", hypervisor "KVMKVMKVM"`},
		{"a laptop", processor{"GenuineIntel", "", "Intel(R) Core(TM) i7"}, false, "i7"},
		{"QEMU on another machine", processor{"AuthenticAMD", "TCGTCGTCGTCG", "QEMU Virtual CPU version 2.5+"}, true, "QEMU without hardware virtualization"},
		{"QEMU's best model", processor{"AuthenticAMD", "TCGTCGTCGTCG", "QEMU TCG CPU version 2.5+"}, true, "QEMU"},
		{"QEMU as a server", processor{"GenuineIntel", "TCGTCGTCGTCG", "Intel Xeon Processor (Skylake)"}, true, "Skylake"},
		{"QEMU's name on real hardware", processor{"AuthenticAMD", "KVMKVMKVM", "QEMU Virtual CPU version 2.5+"}, false, "KVM"},
		{"QEMU that hides", processor{"GenuineIntel", "", "QEMU Virtual CPU version 2.5+"}, true, "emulated by QEMU"},
		{"Rosetta", processor{"VirtualApple", "", "VirtualApple @ 2.50GHz processor"}, true, "Rosetta"},
		{"Hyper-V", processor{"GenuineIntel", "Microsoft Hv", "Intel(R) Xeon(R)"}, false, "Xeon"},
		{"a processor that says nothing", processor{}, false, `""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, yes := c.p.emulated(); yes != c.yes || !strings.Contains(got, c.want) {
				t.Errorf("emulated = %q, %v; want %v with %q", got, yes, c.yes, c.want)
			}
		})
	}
}

func TestReadProcessor(t *testing.T) {
	line := "AuthenticAMD" + "KVMKVMKVM\x00\x00\x00" + "AMD EPYC\x1b[2J" + strings.Repeat("\x00", brandSize-12)
	p, err := readProcessor(line)
	if want := (processor{"AuthenticAMD", "KVMKVMKVM", "AMD EPYC"}); err != nil || p != want {
		t.Errorf("readProcessor = %+v, %v; want %+v", p, err, want)
	}
	if _, err := readProcessor("exec format error"); err == nil {
		t.Error("readProcessor takes what is no description")
	}
}

func TestCPUIDProgramIsStaticELF(t *testing.T) {
	f, err := elf.NewFile(bytes.NewReader(cpuidProgram()))
	if err != nil || f.Machine != elf.EM_X86_64 || len(f.Progs) != 1 || f.Progs[0].Filesz != uint64(len(cpuidProgram())) {
		t.Errorf("the program: %+v, %v", f, err)
	}
}

func TestAnswer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	now := time.Now()
	a := remembered(dir, engine.Info{ID: "x", CPUs: 2})
	a.write(now, "evidence", true)
	if got, yes, ok := a.read(now.Add(time.Hour)); got != "evidence" || !yes || !ok {
		t.Errorf("read = %q, %v, %v; want what was written", got, yes, ok)
	}
	if _, _, ok := a.read(now.Add(believed + time.Minute)); ok {
		t.Error("an old answer is believed")
	}
	if _, _, ok := remembered(dir, engine.Info{ID: "x", CPUs: 4}).read(now); ok {
		t.Error("the answer of another machine is believed")
	}
	if err := os.WriteFile(a.path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := a.read(now); ok {
		t.Error("a broken file is believed")
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".processor*")); err != nil || len(left) != 0 {
		t.Errorf("left %q, %v", left, err)
	}
}
