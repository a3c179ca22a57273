package scaffold

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Beside is what lies beside the files.
type Beside struct {
	Dockerfiles []string // relative, the likeliest first
	Dockerfile  string   // the one that is built
	Before      []string // commands for build.before
	// Manager installs the packages of a Node.js project: npm, yarn or pnpm; empty:
	// it is none.
	Manager         string
	Locked          bool // the versions of its packages are in a lock file
	NodeVersionFile string
	Prisma          bool // the project has migrations of Prisma
}

// Look reads a folder. What is not there is no error.
func Look(dir string) (Beside, error) {
	found, err := filepath.Glob(filepath.Join(dir, "Dockerfile*"))
	if err != nil {
		return Beside{}, fmt.Errorf("look for a Dockerfile: %w", err)
	}
	var b Beside
	for _, path := range found {
		if name := filepath.Base(path); !strings.HasSuffix(name, ".dockerignore") && regular(path) {
			b.Dockerfiles = append(b.Dockerfiles, name)
		}
	}
	slices.SortStableFunc(b.Dockerfiles, func(x, y string) int { return likely(x) - likely(y) })
	if len(b.Dockerfiles) > 0 {
		b.Dockerfile = b.Dockerfiles[0]
	}
	return b, b.node(dir)
}

// likely ranks the names of Dockerfiles: production's own first, then the usual one.
func likely(name string) int {
	i := slices.Index([]string{"Dockerfile.production", "Dockerfile.prod", "Dockerfile"}, name)
	if i < 0 {
		return 3
	}
	return i
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// node reads package.json.
func (b *Beside) node(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read package.json: %w", err)
	}
	var p struct {
		Scripts map[string]string `json:"scripts"`
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("read package.json: %w", err)
	}
	b.Manager = "npm"
	for lock, manager := range map[string]string{"package-lock.json": "npm", "npm-shrinkwrap.json": "npm", "yarn.lock": "yarn", "pnpm-lock.yaml": "pnpm"} {
		if regular(filepath.Join(dir, lock)) {
			b.Manager, b.Locked = manager, true
		}
	}
	for _, name := range []string{".nvmrc", ".node-version"} {
		if regular(filepath.Join(dir, name)) {
			b.NodeVersionFile = name
		}
	}
	_, err = os.Stat(filepath.Join(dir, "prisma", "migrations"))
	b.Prisma = err == nil
	if p.Scripts["build"] != "" && !b.builds(dir) {
		b.Before = []string{b.Manager + " run build"}
	}
	return nil
}

// buildStep is a step of a Dockerfile that builds the project by itself.
var buildStep = regexp.MustCompile(`(?im)^\s*RUN\b.*(\b(npm|yarn|pnpm)( run)? build\b|\btsc\b|\bnest build\b)`)

// builds says whether the Dockerfile builds the project itself, so that there is
// nothing to do before it.
func (b *Beside) builds(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, b.Dockerfile))
	if err != nil {
		return false
	}
	return buildStep.Match([]byte(strings.ReplaceAll(string(text), "\\\n", " ")))
}
