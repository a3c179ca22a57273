package build

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// graph is a Dockerfile with its arguments put in.
type graph struct {
	nodes []*node
}

// node is one stage.
type node struct {
	name     string // as FROM … AS gives it; may be empty
	label    string // for people
	base     *node  // when it begins from another stage
	image    string // when it begins from an image
	line     int    // of FROM
	replaced bool   // a named context stands for it
	final    bool   // the target is made of it
	from     []string
	platform ocispec.Platform
	runs     []step
	onbuild  []string
}

// resolve puts the build's arguments into the FROM lines and works out every
// stage's platform and RUN steps, with BuildKit's rules (dockerfile2llb): a
// stage that begins from another has that one's platform whatever its FROM
// says, and scratch has the target's.
//
// A named context, found by context, stands for the stage or image of its name.
func (d dockerfile) resolve(worker, target ocispec.Platform, given map[string]string, context func(string) (namedContext, bool)) (*graph, error) {
	lex := shell.NewLex(d.escape)
	args := platformArgs(worker, target, given)
	if err := addGlobalArgs(lex, args, d.args, given); err != nil {
		return nil, err
	}
	env := environ(args)
	g := &graph{}
	for i, st := range d.stages {
		base, _, err := lex.ProcessWord(st.BaseName, env)
		if err != nil || base == "" {
			return nil, fmt.Errorf("line %d: FROM %s names no image with the arguments of this build", line(st.Location), st.BaseName)
		}
		n := &node{name: st.Name, label: st.Name, line: line(st.Location), platform: target}
		if n.name == "" {
			n.label = "stage-" + strconv.Itoa(i) // as BuildKit calls it
		}
		n.begin(g, base, context)
		switch {
		case n.replaced:
			g.nodes = append(g.nodes, n)
			continue
		case n.base != nil:
			n.platform = n.base.platform
		case st.Platform != "" && base != "scratch":
			if n.platform, err = stagePlatform(lex, env, st); err != nil {
				return nil, err
			}
		}
		n.addSteps(st.Commands)
		g.nodes = append(g.nodes, n)
	}
	return g, nil
}

// begin works out what the stage begins from.
func (n *node) begin(g *graph, base string, context func(string) (namedContext, bool)) {
	if n.name != "" {
		var c namedContext
		if c, n.replaced = context(n.name); n.replaced {
			n.image = c.image
			return
		}
	}
	if c, ok := context(base); ok {
		n.image = c.image
		return
	}
	if n.base = g.named(base); n.base == nil && base != "scratch" {
		n.image = base
	}
}

func addGlobalArgs(lex *shell.Lex, args map[string]string, cmds []instructions.ArgCommand, given map[string]string) error {
	for _, cmd := range cmds {
		for _, kv := range cmd.Args {
			if v, ok := given[kv.Key]; ok {
				args[kv.Key] = v
			} else if kv.Value != nil {
				v, _, err := lex.ProcessWord(*kv.Value, environ(args))
				if err != nil {
					return fmt.Errorf("line %d: ARG %s: %w", line(cmd.Location()), kv.Key, err)
				}
				args[kv.Key] = v
			}
		}
	}
	return nil
}

func environ(args map[string]string) shell.EnvGetter {
	list := make([]string, 0, len(args))
	for k, v := range args {
		list = append(list, k+"="+v)
	}
	return shell.EnvsFromSlice(list)
}

func stagePlatform(lex *shell.Lex, env shell.EnvGetter, st instructions.Stage) (ocispec.Platform, error) {
	s, _, err := lex.ProcessWord(st.Platform, env)
	if err != nil || s == "" {
		return ocispec.Platform{}, fmt.Errorf("line %d: --platform=%s is empty with the arguments of this build", line(st.Location), st.Platform)
	}
	p, err := platforms.Parse(s)
	if err != nil {
		return ocispec.Platform{}, fmt.Errorf("line %d: --platform=%s: %w", line(st.Location), st.Platform, err)
	}
	return p, nil
}

// named finds the latest stage of that name.
func (g *graph) named(name string) *node {
	for i := len(g.nodes) - 1; i >= 0; i-- {
		if name != "" && strings.EqualFold(g.nodes[i].name, name) {
			return g.nodes[i]
		}
	}
	return nil
}

// stage finds a stage by name or number, as --from does.
func (g *graph) stage(ref string) *node {
	if i, err := strconv.Atoi(ref); err == nil && i >= 0 && i < len(g.nodes) {
		return g.nodes[i]
	}
	return g.named(ref)
}

func (n *node) addSteps(cmds []instructions.Command) {
	if n.base != nil { // ONBUILD of the stage that this one begins from
		for _, trigger := range n.base.onbuild {
			if ast, err := parser.Parse(strings.NewReader(trigger)); err == nil && len(ast.AST.Children) == 1 {
				if cmd, err := instructions.ParseCommand(ast.AST.Children[0]); err == nil {
					n.addStep(cmd)
				}
			}
		}
	}
	for _, cmd := range cmds {
		n.addStep(cmd)
	}
}

func (n *node) addStep(cmd instructions.Command) {
	switch c := cmd.(type) {
	case *instructions.RunCommand:
		n.runs = append(n.runs, step{stage: n.label, line: line(c.Location()), text: shorten(c.String()), platform: n.platform})
		for _, m := range instructions.GetMounts(c) {
			if m.From != "" {
				n.from = append(n.from, m.From)
			}
		}
	case *instructions.CopyCommand:
		if c.From != "" {
			n.from = append(n.from, c.From)
		}
	case *instructions.OnbuildCommand:
		n.onbuild = append(n.onbuild, c.Expression)
	}
}

// needed lists the stages that the target needs, in file order. An empty target
// is the last stage; ok is false when there is no such stage.
func (g *graph) needed(target string) (nodes []*node, ok bool) {
	if len(g.nodes) == 0 {
		return nil, false
	}
	goal := g.nodes[len(g.nodes)-1]
	if target != "" {
		if goal = g.named(target); goal == nil {
			return nil, false
		}
	}
	for n := goal; n != nil; n = n.base {
		n.final = true
	}
	needed := map[*node]bool{}
	g.mark(goal, needed)
	for _, n := range g.nodes {
		if needed[n] {
			nodes = append(nodes, n)
		}
	}
	return nodes, true
}

// parts are the RUN steps of stages, and the images that they begin from.
func parts(nodes []*node) (steps []step, images []baseImage) {
	for _, n := range nodes {
		for _, s := range n.runs {
			s.cross = n.crossLine()
			steps = append(steps, s)
		}
		if n.image != "" {
			images = append(images, baseImage{ref: n.image, stage: n.label, line: n.line, platform: n.platform})
		}
	}
	return steps, images
}

func (g *graph) mark(n *node, needed map[*node]bool) {
	if n == nil || needed[n] {
		return
	}
	needed[n] = true
	g.mark(n.base, needed)
	for _, ref := range n.from {
		g.mark(g.stage(ref), needed)
	}
}

// platformArgs are the platform arguments of a build (Dockerfile reference,
// "Automatic platform ARGs in the global scope").
func platformArgs(worker, target ocispec.Platform, given map[string]string) map[string]string {
	args := map[string]string{
		"BUILDPLATFORM": platforms.Format(worker), "BUILDOS": worker.OS, "BUILDARCH": worker.Architecture, "BUILDVARIANT": worker.Variant,
		"TARGETPLATFORM": platforms.Format(target), "TARGETOS": target.OS, "TARGETARCH": target.Architecture, "TARGETVARIANT": target.Variant,
	}
	for k := range args {
		if v, ok := given[k]; ok {
			args[k] = v
		}
	}
	return args
}
