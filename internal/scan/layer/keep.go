package layer

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
)

// maxText is the longest text that is read, in bytes. A lock file of a large
// application has some megabytes.
const maxText = 16 << 20

// PackageJSON is what a package.json says about platforms, and how the
// application starts.
type PackageJSON struct {
	Name     string            `json:"name,omitempty"`
	Version  string            `json:"version,omitempty"`
	OS       []string          `json:"os,omitempty"`
	CPU      []string          `json:"cpu,omitempty"`
	Libc     []string          `json:"libc,omitempty"`
	Optional []string          `json:"optional,omitempty"` // names of optionalDependencies
	Scripts  map[string]string `json:"scripts,omitempty"`  // only outside node_modules
}

// LockJSON is what npm notes in node_modules/.package-lock.json: which packages
// are there only for development.
type LockJSON struct {
	Dev []string `json:"dev"` // paths relative to the folder that holds node_modules
}

// keeper says what becomes of a text that a rule goes by; nil for other files.
// It returns whether the text was kept.
func keeper(p string) func(e *Entry, raw []byte) bool {
	switch base := path.Base(p); {
	case base == "package.json":
		return keepPackage
	case base == ".package-lock.json":
		return keepLock
	case base == "os-release", base == "alpine-release":
		return keepText
	case p == "/etc/ld.so.conf", strings.HasPrefix(p, "/etc/ld.so.conf.d/"),
		strings.HasPrefix(p, "/etc/ld-musl-") && strings.HasSuffix(p, ".path"):
		return keepText
	}
	return nil
}

// longestText bounds the texts that are kept as they are.
const longestText = 64 << 10

func keepText(e *Entry, raw []byte) bool {
	e.Kind, e.Text = Text, string(raw[:min(len(raw), longestText)])
	return true
}

// keepPackage keeps a package.json that names platforms, or scripts of the
// application itself; one in a thousand does.
func keepPackage(e *Entry, raw []byte) bool {
	var doc struct {
		Name, Version any
		OS, CPU, Libc any
		Optional      map[string]any `json:"optionalDependencies"`
		Scripts       map[string]any
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	if json.Unmarshal(raw, &doc) != nil {
		return false
	}
	p := &PackageJSON{OS: words(doc.OS), CPU: words(doc.CPU), Libc: words(doc.Libc)}
	p.Name, _ = doc.Name.(string)
	p.Version, _ = doc.Version.(string)
	for _, name := range slices.Sorted(maps.Keys(doc.Optional)) {
		p.Optional = append(p.Optional, strings.Clone(name))
	}
	if !strings.Contains(e.Path, "/node_modules/") {
		p.Scripts = scripts(doc.Scripts)
	}
	if len(p.OS)+len(p.CPU)+len(p.Libc)+len(p.Optional)+len(p.Scripts) == 0 {
		return false
	}
	e.Kind, e.Package = Package, p
	return true
}

func words(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func scripts(m map[string]any) map[string]string {
	out := map[string]string{}
	for name, v := range m {
		if s, ok := v.(string); ok && len(s) < 1024 {
			out[name] = s
		}
	}
	return out
}

func keepLock(e *Entry, raw []byte) bool {
	var doc struct {
		Packages map[string]struct{ Dev bool }
	}
	if json.Unmarshal(raw, &doc) != nil {
		return false
	}
	l := &LockJSON{}
	for _, p := range slices.Sorted(maps.Keys(doc.Packages)) {
		if doc.Packages[p].Dev {
			l.Dev = append(l.Dev, strings.Clone(p))
		}
	}
	e.Kind, e.Lock = Lock, l
	return true
}
