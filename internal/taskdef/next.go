package taskdef

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/weelo/weelo-deploy/internal/event"
)

// readOnly are the members of a described task definition that
// RegisterTaskDefinition does not take (TaskDefinition against
// RegisterTaskDefinitionRequest, ECS API reference).
var readOnly = []string{
	"compatibilities", "deleteRequestedAt", "deregisteredAt", "registeredAt", "registeredBy",
	"requiresAttributes", "revision", "status", "taskDefinitionArn",
}

// Change is what the next revision has that its base has not.
type Change struct {
	Container   string            // empty: the only essential one
	Image       string            // empty: unchanged
	Environment map[string]string // set, never removed
	Secrets     map[string]string // name → ARN or parameter name; set, never removed
	Pin         map[string]string // other containers' images, by container name
}

// Next is the definition with the change made, ready to be registered: without
// the read-only members, and without the tags that must not be carried over.
// Everything else keeps its bytes. Setting a secret removes an environment
// variable of the same name, and the reverse: ECS refuses a name that is both.
func (d *Definition) Next(c Change) (*Definition, error) {
	released, err := d.Released(c.Container)
	if err != nil {
		return nil, err
	}
	if err := d.check(c); err != nil {
		return nil, err
	}
	top, err := parseObject(d.raw)
	if err != nil {
		return nil, fmt.Errorf("make the next revision of %s: %w", d.Name(), err)
	}
	top = top.without(readOnly...)
	containers, err := editContainers(top.get("containerDefinitions"), released.Name, c)
	if err != nil {
		return nil, fmt.Errorf("make the next revision of %s: %w", d.Name(), err)
	}
	return Parse(top.with("containerDefinitions", containers).bytes(), carried(d.tags))
}

// check refuses what no revision could hold.
func (d *Definition) check(c Change) error {
	var all []string
	for _, k := range d.containers {
		all = append(all, k.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pin)) {
		if !slices.Contains(all, name) {
			return fmt.Errorf("pin the image of container %q: %w", name, d.noContainer(name, all))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
		if _, both := c.Secrets[name]; both {
			return event.Fail(event.CodeConfig, fmt.Sprintf("set %s: it is both an environment variable and a secret", name)).
				Hint("keep it in one of task.environment and task.secrets")
		}
	}
	return nil
}

func editContainers(raw json.RawMessage, released string, c Change) (json.RawMessage, error) {
	items, err := parseArray(raw)
	if err != nil {
		return nil, err
	}
	changed := false
	for i, item := range items {
		o, err := parseObject(item)
		if err != nil {
			return nil, err
		}
		edited, ok, err := editContainer(o, released, c)
		if err != nil {
			return nil, fmt.Errorf("container %q: %w", o.text("name"), err)
		}
		if ok {
			items[i], changed = edited.bytes(), true
		}
	}
	if !changed {
		return raw, nil
	}
	return arrayBytes(items), nil
}

// editContainer says with ok whether it changed anything: a container that
// nobody changes keeps its very bytes, white space included.
func editContainer(o object, released string, c Change) (edited object, ok bool, err error) {
	name := o.text("name")
	if image := c.Pin[name]; image != "" && image != o.text("image") {
		o, ok = o.with("image", quoted(image)), true
	}
	if name != released {
		return o, ok, nil
	}
	if c.Image != "" && c.Image != o.text("image") {
		o, ok = o.with("image", quoted(c.Image)), true
	}
	if len(c.Environment) == 0 && len(c.Secrets) == 0 {
		return o, ok, nil
	}
	if o, err = setNamed(o, "environment", "value", c.Environment, c.Secrets); err != nil {
		return nil, false, err
	}
	if o, err = setNamed(o, "secrets", "valueFrom", c.Secrets, c.Environment); err != nil {
		return nil, false, err
	}
	return o, true, nil
}

// setNamed edits one of a container's lists of {name, value} members: entries
// of drop go, entries of set take their new value in their place, and what is
// new comes at the end, sorted.
func setNamed(o object, list, value string, set, drop map[string]string) (object, error) {
	items, err := parseArray(o.get(list))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", list, err)
	}
	out, done := []json.RawMessage{}, map[string]bool{}
	for _, item := range items {
		e, err := parseObject(item)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list, err)
		}
		name := e.text("name")
		v, mine := set[name]
		_, gone := drop[name]
		switch {
		case mine && !done[name]:
			out, done[name] = append(out, e.with(value, quoted(v)).bytes()), true
		case !mine && !gone:
			out = append(out, item)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !done[name] {
			out = append(out, object{{"name", quoted(name)}, {value, quoted(set[name])}}.bytes())
		}
	}
	if len(out) == len(items) && len(items) == 0 {
		return o, nil // neither there nor wanted: do not add an empty list
	}
	return o.with(list, arrayBytes(out)), nil
}

// registration is the body of RegisterTaskDefinition for the definition.
func (d *Definition) registration(tags []Tag) (json.RawMessage, error) {
	top, err := parseObject(d.raw)
	if err != nil {
		return nil, err
	}
	top = top.without(append([]string{"tags"}, readOnly...)...)
	all := withTags(carried(d.tags), tags)
	if len(all) == 0 {
		return top.bytes(), nil
	}
	items := make([]json.RawMessage, len(all))
	for i, t := range all {
		items[i] = object{{"key", quoted(t.Key)}, {"value", quoted(t.Value)}}.bytes()
	}
	return top.with("tags", arrayBytes(items)).bytes(), nil
}
