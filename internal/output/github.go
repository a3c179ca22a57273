package output

import (
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// mostAnnotations is how many errors and warnings each a step may have; GitHub
// drops the rest.
const mostAnnotations = 10

// gitHubPrinter writes for the log of GitHub Actions: a group for each stage,
// annotations for problems, and a fence around text that others wrote, so that
// it cannot give commands to the runner. All of it goes to stderr: the runner
// reads commands from both streams, and stdout is the answer.
type gitHubPrinter struct {
	linePrinter
	token  func() string
	open   bool
	fenced string // the token that ends the fence we are in
	count  map[tone]int

	workspace string // the root of the checkout; empty: not known
}

func newGitHubPrinter(w io.Writer, token func() string, workspace string) *gitHubPrinter {
	if token == nil {
		token = func() string { return "fence-" + rand.Text() }
	}
	return &gitHubPrinter{linePrinter: linePrinter{w: w}, token: token, count: map[tone]int{}, workspace: workspace}
}

func (p *gitHubPrinter) line(elapsed time.Duration, stage string, t tone, text string) {
	p.unfence()
	p.linePrinter.line(elapsed, stage, t, text)
}

func (p *gitHubPrinter) summary(elapsed time.Duration, stage string, t tone, _ event.Stage, text string, _ []string) {
	p.line(elapsed, stage, t, text)
}

func (p *gitHubPrinter) foreign(elapsed time.Duration, stage, text string) {
	p.fence()
	p.linePrinter.line(elapsed, stage, neutral, text)
}

func (p *gitHubPrinter) begin(stage string) {
	p.end()
	p.command("group", nil, stage)
	p.open = true
}

func (p *gitHubPrinter) end() {
	p.unfence()
	if p.open {
		p.command("endgroup", nil, "")
		p.open = false
	}
}

func (p *gitHubPrinter) report(lines []reportLine) {
	p.end()
	for _, l := range lines {
		if l.foreign {
			p.fence()
		} else {
			p.unfence()
		}
		p.print(l.text)
	}
	p.unfence()
}

// place finds the position that configuration failures begin with.
var place = regexp.MustCompile(`^([^\s:]+\.ya?ml):([0-9]+):([0-9]+): `)

func (p *gitHubPrinter) annotate(t tone, title, text, file string, line int) {
	if p.count[t]++; p.count[t] > mostAnnotations {
		return
	}
	p.unfence()
	properties := []string{"title", title}
	switch m := place.FindStringSubmatch(text); {
	case m != nil:
		properties = append(properties, "file", p.inWorkspace(m[1]), "line", m[2], "col", m[3])
	case file != "" && line > 0:
		properties = append(properties, "file", p.inWorkspace(file), "line", strconv.Itoa(line))
	}
	name := "error"
	if t == warning {
		name = "warning"
	}
	p.command(name, properties, text)
}

// inWorkspace is a file's path as GitHub wants it: from the root of the checkout.
func (p *gitHubPrinter) inWorkspace(file string) string {
	abs, err := filepath.Abs(file)
	if err != nil || p.workspace == "" {
		return file
	}
	if rel, err := filepath.Rel(p.workspace, abs); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return file
}

// fence makes the runner take nothing for a command until its token comes.
func (p *gitHubPrinter) fence() {
	if p.fenced == "" {
		p.fenced = p.token()
		p.command("stop-commands", nil, p.fenced)
	}
}

func (p *gitHubPrinter) unfence() {
	if p.fenced != "" {
		p.command(p.fenced, nil, "")
		p.fenced = ""
	}
}

var (
	// What has a meaning in a command's text and in its properties: see "Workflow
	// commands" in GitHub's documentation and toolkit/packages/core/src/command.ts.
	escapeData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	escapeProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// command writes ::name key=value,…::text.
func (p *gitHubPrinter) command(name string, properties []string, text string) {
	var b strings.Builder
	b.WriteString("::" + name)
	for i := 0; i+1 < len(properties); i += 2 {
		sep := ","
		if i == 0 {
			sep = " "
		}
		fmt.Fprintf(&b, "%s%s=%s", sep, properties[i], escapeProperty.Replace(properties[i+1]))
	}
	b.WriteString("::" + escapeData.Replace(text))
	p.print(b.String())
}
