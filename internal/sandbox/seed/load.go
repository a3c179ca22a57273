package seed

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Problem is one thing wrong in a seed file.
type Problem struct {
	File    string
	Line    int // 0 when it concerns the whole file
	Message string
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Load reads a seed file. Its error joins one *Problem for each thing that is
// wrong, but for a file that cannot be read at all.
func Load(path string) (*Seed, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read seed: %w", err)
	}
	return Parse(path, data)
}

// Parse reads a seed from memory; name is the file's in problems.
func Parse(name string, data []byte) (*Seed, error) {
	s := new(Seed)
	if len(bytes.TrimSpace(data)) == 0 {
		return s, nil
	}
	if err := yaml.Load(data, s, yaml.WithKnownFields()); err != nil {
		return nil, problems(name, err)
	}
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		return nil, problems(name, err)
	}
	if found := check(name, s, &root); found != nil {
		return nil, found
	}
	return s, nil
}

// LoadFaults reads a file of faults: a list of rules, or one rule, as package fault
// takes them.
func LoadFaults(path string) ([]JSON, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read faults: %w", err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		return nil, problems(path, err)
	}
	if len(root.Content) == 1 && root.Content[0].Kind == yaml.MappingNode {
		var one JSON
		if err := yaml.Load(data, &one); err != nil {
			return nil, problems(path, err)
		}
		return []JSON{one}, nil
	}
	if len(root.Content) == 1 && root.Content[0].Kind != yaml.SequenceNode {
		return nil, &Problem{File: path, Line: root.Content[0].Line, Message: "a file of faults is a rule or a list of rules"}
	}
	var rules []JSON
	if err := yaml.Load(data, &rules); err != nil {
		return nil, problems(path, err)
	}
	return rules, nil
}

// problems turns the YAML library's errors into ours.
func problems(file string, err error) error {
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &many):
		joined := make([]error, len(many.Errors))
		for i, e := range many.Errors {
			joined[i] = problem(file, e)
		}
		return errors.Join(joined...)
	case errors.As(err, &one):
		return problem(file, one)
	}
	return &Problem{File: file, Message: err.Error()}
}

// unknownKey is what the library says of a key that no field has.
var unknownKey = regexp.MustCompile(`^field (.+) not found in type seed\.[A-Za-z]+$`)

func problem(file string, e *yaml.LoadError) *Problem {
	p := &Problem{File: file, Line: e.Mark.Line, Message: e.Message}
	if key := unknownKey.FindStringSubmatch(e.Message); key != nil {
		p.Message = fmt.Sprintf("unknown key %q", key[1])
	}
	// Our own UnmarshalYAML methods know the line better than the library.
	if rest, ok := strings.CutPrefix(e.Message, "line "); ok {
		if n, err := fmt.Sscanf(rest, "%d:", &p.Line); n == 1 && err == nil {
			_, p.Message, _ = strings.Cut(rest, ": ")
		}
	}
	return p
}

// lineOf finds the line of the value at path (keys and indices), or of the
// nearest thing around it that the file has.
func lineOf(node *yaml.Node, path ...any) int {
	if node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
	}
	for _, step := range path {
		next := child(node, step)
		if next == nil {
			break
		}
		node = next
	}
	return node.Line
}

func child(node *yaml.Node, step any) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch step := step.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && step < len(node.Content) {
			return node.Content[step]
		}
	case string:
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i+1]
			}
		}
	}
	return nil
}
