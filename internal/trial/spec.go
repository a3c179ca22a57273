package trial

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
)

// labelUntil is a trial container's label: the time after which no trial can
// still be using it, RFC 3339.
const labelUntil = "weelo-deploy.trial-until"

// slack is how much longer than its seconds a trial may take.
const slack = 10 * time.Minute

// maxProcesses keeps a program that forks without end from taking the machine
// with it. It is far above what a service uses.
const maxProcesses = 4096

// spec is the container to make.
//
// Its capabilities are the engine's default set, which is also what a container
// has on ECS unless its definition says otherwise (KernelCapabilities, ECS API
// reference), less those that the definition drops. no-new-privileges is not
// set: ECS does not set it, and an entrypoint that uses sudo would fail here and
// not there. A core file, which nobody would read, is not written.
func (s subject) spec() engine.ContainerSpec {
	c := s.request.Container
	until := time.Now().Add(time.Duration(s.request.Seconds)*time.Second + slack)
	return engine.ContainerSpec{
		Name:       "weelo-deploy-trial-" + strings.ToLower(rand.Text()[:12]),
		Image:      s.image.ID,
		Entrypoint: c.EntryPoint, Cmd: c.Command,
		Env:  s.env.pairs,
		User: c.User, WorkingDir: c.WorkingDirectory,
		Labels:         map[string]string{labelUntil: until.UTC().Format(time.RFC3339)},
		Network:        "none",
		MemoryBytes:    c.MemoryBytes,
		ReadonlyRootfs: c.ReadonlyRoot,
		Init:           c.Init,
		CapDrop:        c.DropCapabilities,
		PidsLimit:      maxProcesses,
		Ulimits:        []engine.Ulimit{{Name: "core"}},
	}
}

// placeholder is the value of every variable whose real one must not be here.
const placeholder = "placeholder"

// variables are a trial's environment.
type variables struct {
	pairs                  []string // NAME=value, sorted
	placeholders, withheld []string // names, sorted
}

// environment gives each of the definition's variables and secrets a
// placeholder, except where the request has a value. Variables that steer the
// loader or a language's runtime are withheld, so that the image's own value
// stays: with "placeholder" for its PATH or NODE_OPTIONS no program starts, and
// the trial would prove nothing.
func environment(r Request) variables {
	var v variables
	values := maps.Clone(r.Env)
	if values == nil {
		values = map[string]string{}
	}
	for _, name := range slices.Concat(r.Container.Environment, r.Container.Secrets) {
		switch _, given := values[name]; {
		case given || name == "":
		case steers(name):
			v.withheld = append(v.withheld, name)
		default:
			values[name] = placeholder
			v.placeholders = append(v.placeholders, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v.pairs = append(v.pairs, name+"="+values[name])
	}
	slices.Sort(v.placeholders)
	slices.Sort(v.withheld)
	v.withheld = slices.Compact(v.withheld)
	return v
}

// steering are variables that loaders and runtimes read before the program
// does, and refuse or obey.
var steering = map[string]bool{
	"PATH": true, "HOME": true, "SHELL": true, "USER": true, "TERM": true, "TZ": true, "LANG": true, "TMPDIR": true, "ENV": true, "BASH_ENV": true,
	"NODE_OPTIONS": true, "NODE_PATH": true, "NODE_EXTRA_CA_CERTS": true, "UV_THREADPOOL_SIZE": true,
	"JAVA_HOME": true, "JAVA_OPTS": true, "JAVA_TOOL_OPTIONS": true, "JDK_JAVA_OPTIONS": true, "_JAVA_OPTIONS": true, "CLASSPATH": true,
	"GOGC": true, "GOMEMLIMIT": true, "GOMAXPROCS": true, "GODEBUG": true, "GOTRACEBACK": true,
	"PERL5LIB": true, "PERL5OPT": true, "RUBYOPT": true, "RUBYLIB": true, "GEM_HOME": true, "GEM_PATH": true,
	"PHPRC": true, "PHP_INI_SCAN_DIR": true, "VIRTUAL_ENV": true, "GCONV_PATH": true, "LOCPATH": true,
}

func steers(name string) bool {
	if steering[name] {
		return true
	}
	for _, prefix := range []string{"LD_", "LC_", "PYTHON", "MALLOC_", "GLIBC_", "DOTNET_", "COMPlus_", "CORECLR_", "BUNDLE_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// runs reports whether a machine of platform own runs programs of platform p by
// itself: variants of one architecture count as one, and amd64 runs 386.
func runs(own, p string) bool {
	os, arch := split(own)
	wantOS, want := split(p)
	return os == wantOS && (arch == want || arch == "amd64" && want == "386")
}

func split(platform string) (os, arch string) {
	parts := strings.SplitN(platform, "/", 3)
	if len(parts) < 2 {
		return platform, ""
	}
	return parts[0], parts[1]
}
