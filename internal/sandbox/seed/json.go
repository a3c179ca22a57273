package seed

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// JSON is a value in an AWS request's shape, kept as JSON with its members in
// the file's order, those that the SDK does not know included.
type JSON struct {
	Raw  json.RawMessage
	Line int // in the file; 0 when the file does not have it
}

// UnmarshalYAML turns the YAML value into JSON.
func (j *JSON) UnmarshalYAML(node *yaml.Node) error {
	w := jsonWriter{budget: maxNodes}
	if err := w.value(node); err != nil {
		return err
	}
	j.Raw, j.Line = json.RawMessage(w.out.String()), node.Line
	return nil
}

// maxNodes and maxJSON bound what aliases in the file can blow up; AWS takes
// task definitions up to 64 KiB.
const (
	maxNodes = 100_000
	maxJSON  = 1 << 20
)

// jsonWriter turns YAML into JSON.
type jsonWriter struct {
	out    strings.Builder
	budget int // nodes that may still be visited
}

// visit counts a node.
func (w *jsonWriter) visit(node *yaml.Node) error {
	w.budget--
	if w.budget < 0 || w.out.Len() > maxJSON {
		return fmt.Errorf("line %d: too large with all its aliases", node.Line)
	}
	return nil
}

func (w *jsonWriter) value(node *yaml.Node) error {
	if err := w.visit(node); err != nil {
		return err
	}
	switch node.Kind {
	case yaml.AliasNode:
		return w.value(node.Alias)
	case yaml.SequenceNode:
		return w.list(node)
	case yaml.MappingNode:
		return w.object(node)
	}
	return w.scalar(node)
}

func (w *jsonWriter) list(node *yaml.Node) error {
	w.out.WriteByte('[')
	for i, item := range node.Content {
		if i > 0 {
			w.out.WriteByte(',')
		}
		if err := w.value(item); err != nil {
			return err
		}
	}
	w.out.WriteByte(']')
	return nil
}

func (w *jsonWriter) object(node *yaml.Node) error {
	members, err := w.members(node)
	if err != nil {
		return err
	}
	w.out.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			w.out.WriteByte(',')
		}
		w.out.Write(quoted(m.name))
		w.out.WriteByte(':')
		if err := w.value(m.value); err != nil {
			return err
		}
	}
	w.out.WriteByte('}')
	return nil
}

// member is one name and value of a mapping.
type member struct {
	name  string
	value *yaml.Node
}

// members lists a mapping's own members, and after them those that it merges in
// with "<<" and does not have itself.
func (w *jsonWriter) members(node *yaml.Node) ([]member, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: only a mapping can be merged in with <<", node.Line)
	}
	var own []member
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("line %d: a member's name must be a string", key.Line)
		case key.ShortTag() != "!!merge":
			own = append(own, member{key.Value, value})
		case value.Kind == yaml.SequenceNode:
			merged = append(merged, value.Content...)
		default:
			merged = append(merged, value)
		}
	}
	return w.merge(own, merged)
}

func (w *jsonWriter) merge(members []member, from []*yaml.Node) ([]member, error) {
	for _, node := range from {
		if err := w.visit(node); err != nil {
			return nil, err
		}
		more, err := w.members(node)
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			if !slices.ContainsFunc(members, func(have member) bool { return have.name == m.name }) {
				members = append(members, m)
			}
		}
	}
	return members, nil
}

func (w *jsonWriter) scalar(node *yaml.Node) error {
	switch node.ShortTag() {
	case "!!bool", "!!int", "!!float", "!!null":
		var v any
		if err := node.Decode(&v); err != nil {
			return fmt.Errorf("line %d: %w", node.Line, err)
		}
		if json.Valid([]byte(node.Value)) {
			w.out.WriteString(node.Value) // as it was written: 1.50 stays 1.50
			return nil
		}
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("line %d: %q has no JSON form", node.Line, node.Value)
		}
		w.out.Write(b)
		return nil
	}
	w.out.Write(quoted(node.Value))
	return nil
}

func quoted(s string) []byte {
	b, _ := json.Marshal(s) // a string always has a JSON form
	return b
}
