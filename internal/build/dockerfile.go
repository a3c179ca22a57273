package build

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weelo/weelo-deploy/internal/event"
)

// dockerfile is a Dockerfile as far as its steps' platforms depend on it.
type dockerfile struct {
	name   string // as people know it: the file's base name
	path   string
	syntax string // the frontend that a "# syntax=" line asks for
	checks bool   // a "# check=" line changes what the frontend looks at
	opaque error  // why its steps cannot be known; only with a syntax line
	escape rune
	stages []instructions.Stage
	args   []instructions.ArgCommand // those before the first FROM
}

// step is a RUN step of a stage that the target needs.
type step struct {
	stage    string // name, or "stage-1" like BuildKit
	line     int
	text     string // "RUN npm ci"
	cross    string // the FROM line that would make it native; see crossLine
	platform ocispec.Platform
}

func (s step) String() string {
	return fmt.Sprintf("[%s] %s (line %d)", s.stage, s.text, s.line)
}

// checkLine is a parser directive for the frontend's linter (Dockerfile
// reference, "check").
var checkLine = regexp.MustCompile(`(?im)^\s*(#|//)\s*check\s*=`)

// readDockerfile reads and parses the file. One that a custom frontend has to
// make sense of, and that is no plain Dockerfile, is not an error but opaque.
func readDockerfile(path string) (dockerfile, error) {
	d := dockerfile{name: filepath.Base(path), path: path, escape: parser.DefaultEscapeToken}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return d, event.Fail(event.CodeUsage, "there is no Dockerfile "+path).
			Hint("name it with build.dockerfile in the configuration file" + nearby(path))
	}
	if err != nil {
		return d, event.Fail(event.CodeUsage, "read Dockerfile "+path).Because(err)
	}
	if syntax, _, _, ok := parser.DetectSyntax(b); ok {
		d.syntax = syntax
	}
	d.checks = checkLine.Match(b)
	err = d.parse(b)
	if err != nil && d.syntax != "" {
		d.opaque = err
		return d, nil
	}
	if err != nil {
		f := event.Fail(event.CodeUsage, "parse Dockerfile "+path).Because(err).See(excerpt(b, err)...)
		f.File, f.Line = path, parseLine(err)
		return d, f
	}
	return d, nil
}

func (d *dockerfile) parse(b []byte) error {
	ast, err := parser.Parse(bytes.NewReader(b))
	if err != nil {
		return err
	}
	d.escape = ast.EscapeToken
	d.stages, d.args, err = instructions.Parse(ast.AST, nil)
	if err == nil && len(d.stages) == 0 {
		err = errors.New("it has no FROM")
	}
	return err
}

// nearby names Dockerfiles beside one that is missing.
func nearby(path string) string {
	found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*ockerfile*"))
	if err != nil || len(found) == 0 {
		return ""
	}
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return "; beside it there is " + strings.Join(found, ", ")
}

// excerpt shows the line that a parse error is about.
func excerpt(b []byte, err error) []string {
	n := parseLine(err)
	lines := strings.Split(string(b), "\n")
	if n < 1 || n > len(lines) {
		return nil
	}
	return []string{fmt.Sprintf("line %d: %s", n, strings.TrimSpace(lines[n-1]))}
}

// parseLine is the line that a parse error is about, 0 when it names none.
func parseLine(err error) int {
	var at *parser.LocationError
	if !errors.As(err, &at) || len(at.Locations) == 0 || len(at.Locations[0]) == 0 {
		return 0
	}
	return at.Locations[0][0].Start.Line
}

// lineOf is the line of the step that BuildKit names so ("[build 2/4] RUN npm ci"),
// 0 when it is not the only one of that text.
func (d dockerfile) lineOf(vertex string) int {
	_, text, _ := strings.Cut(vertex, "] ")
	found := 0
	for _, st := range d.stages {
		for _, c := range st.Commands {
			if s, ok := c.(fmt.Stringer); !ok || s.String() != text {
				continue
			}
			if found != 0 {
				return 0
			}
			found = line(c.Location())
		}
	}
	return found
}

// stageNames are the names that a target can have.
func (d dockerfile) stageNames() []string {
	var names []string
	for _, s := range d.stages {
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return names
}

func line(r []parser.Range) int {
	if len(r) == 0 {
		return 0
	}
	return r[0].Start.Line
}

// shorten keeps a step's first line, 100 bytes of it at most.
func shorten(s string) string {
	s, _, cut := strings.Cut(strings.TrimSpace(s), "\n")
	if len(s) > 100 {
		s, cut = strings.ToValidUTF8(s[:100], ""), true
	}
	if cut {
		s += " …"
	}
	return s
}
