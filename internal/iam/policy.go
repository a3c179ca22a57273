package iam

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// document is an IAM policy. Its members stand in the order of IAM's own examples.
type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  any                          // one ARN, or several
	Condition map[string]map[string]string `json:",omitempty"`
}

// grant is what one action of the policy may be called on.
type grant struct {
	action    string
	condition Condition
	resources []string
	stages    []string
}

// Policy is a policy that allows the needs and nothing else, as indented JSON.
// Actions that are called on the same resources share a statement, which is named
// after the stages that call them.
func Policy(needs []Need) string {
	var d document
	d.Version = "2012-10-17"
	names := map[string]int{}
	for _, g := range together(needs) {
		s := statement{Sid: sid(g.stages, names), Effect: "Allow", Action: strings.Split(g.action, " "), Resource: g.resources}
		slices.Sort(s.Action)
		if len(g.resources) == 1 {
			s.Resource = g.resources[0]
		}
		if c := g.condition; c != (Condition{}) {
			s.Condition = map[string]map[string]string{c.Operator: {c.Key: c.Value}}
		}
		d.Statement = append(d.Statement, s)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil { // not with strings
		panic(fmt.Sprintf("iam: encode policy: %s", err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// together gives one grant for all actions that have the same resources under
// the same condition; their names are joined by spaces.
func together(needs []Need) []grant {
	var actions []*grant
	for _, n := range needs {
		g := find(actions, func(g *grant) bool { return g.action == n.Action && g.condition == n.Condition })
		if g == nil {
			g = &grant{action: n.Action, condition: n.Condition}
			actions = append(actions, g)
		}
		g.resources = unite(g.resources, n.Resource)
		g.stages = unite(g.stages, n.Stage)
	}
	var out []*grant
	for _, a := range actions {
		slices.Sort(a.resources)
		g := find(out, func(g *grant) bool { return g.condition == a.condition && slices.Equal(g.resources, a.resources) })
		if g == nil {
			out = append(out, a)
			continue
		}
		g.action += " " + a.action
		for _, s := range a.stages {
			g.stages = unite(g.stages, s)
		}
	}
	var list []grant
	for _, g := range out {
		list = append(list, *g)
	}
	return list
}

func find(list []*grant, match func(*grant) bool) *grant {
	if i := slices.IndexFunc(list, match); i >= 0 {
		return list[i]
	}
	return nil
}

func unite(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// sid names a statement after its stages, in letters and digits only: IAM takes
// no others, and no name twice.
func sid(stages []string, taken map[string]int) string {
	var b strings.Builder
	for _, s := range stages {
		for word := range strings.SplitSeq(s, "-") {
			r := []rune(word)
			b.WriteString(string(unicode.ToUpper(r[0])) + string(r[1:]))
		}
	}
	name := b.String()
	if taken[name]++; taken[name] > 1 {
		return fmt.Sprintf("%s%d", name, taken[name])
	}
	return name
}
