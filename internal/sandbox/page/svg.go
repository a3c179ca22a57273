package page

import (
	"fmt"

	g "maragu.dev/gomponents"
)

// svg begins an element with attributes, name and value in turn, and takes what is
// in it.
func svg(name string, attributes ...any) func(...g.Node) g.Node {
	var nodes []g.Node
	for i := 0; i+1 < len(attributes); i += 2 {
		nodes = append(nodes, at(fmt.Sprint(attributes[i]), fmt.Sprint(attributes[i+1])))
	}
	return func(inside ...g.Node) g.Node { return el(name, append(nodes, inside...)...) }
}

// hook is an attribute that the script looks for.
func hook(name string) g.Node { return at("data-" + name) }
