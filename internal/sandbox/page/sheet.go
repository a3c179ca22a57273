package page

import (
	"slices"
	"strings"

	g "maragu.dev/gomponents"
)

// Part is a piece of the page that is sent by itself: what is in the element with
// this id. A part that lies in another is left empty there.
type Part struct{ ID, HTML string }

// sheet is one drawing of the page, whole or in parts.
type sheet struct {
	whole bool
	parts []Part // a part comes after those that lie in it
}

// part is an element with an id that is a part. What changes is inside of it; its
// own attributes never do.
func (s *sheet) part(element, id, class string, inside ...g.Node) g.Node {
	if s.whole {
		return el(element, at("id", id), at("class", class), at("data-part"), g.Group(inside))
	}
	var b strings.Builder
	_ = g.Group(inside).Render(&b) // a Builder takes everything
	s.parts = append(s.parts, Part{id, b.String()})
	return el(element, at("id", id), at("class", class), at("data-part"))
}

// outermost are the parts in the order in which they find their places.
func (s *sheet) outermost() []Part {
	slices.Reverse(s.parts)
	return s.parts
}
