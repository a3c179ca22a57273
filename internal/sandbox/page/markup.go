package page

import (
	_ "embed"
	"io"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

//go:embed page.css
var style string

//go:embed page.js
var script string

// icon is the picture in the browser's tab.
const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='7' fill='%230969da'/%3E%3Cpath d='M7 22h6l3-12 4 12h5' fill='none' stroke='white' stroke-width='3' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E"

// Render writes the whole page.
func render(w io.Writer, v View, l look) error {
	s := &sheet{whole: true}
	place := v.Place()
	return h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.Link(h.Rel("icon"), h.Href(icon)),
			h.TitleEl(g.Text("Sandbox "+strings.TrimPrefix(place.Address, "http://"))),
			h.StyleEl(g.Raw(style)),
		),
		h.Body(h.Data("instance", place.Instance),
			h.A(h.Class("skip"), h.Href("#list"), g.Text("To the services")),
			place.bar(),
			h.P(h.ID("gone"), h.Role("alert"), g.Attr("hidden")),
			h.Main(s.content(v, l)...),
			h.P(h.ID("toast"), h.Role("status"), g.Attr("aria-live", "polite")),
			h.Script(g.Raw(script)),
		),
	)).Render(w)
}

// changes are all parts of the page, outermost first.
func changes(v View, l look) []Part {
	s := &sheet{}
	s.content(v, l)
	return s.outermost()
}

// content is everything that moves, in two columns where there is room.
func (s *sheet) content(v View, l look) []g.Node {
	clusters, balancers := v.Clusters(), v.Traffic()
	return []g.Node{
		h.Div(h.Class("wide"),
			s.part("section", "sum", "sum", summary(clusters)),
			s.part("div", "traffic", "traffic", traffic(balancers)),
			s.finder(clusters, l),
			s.part("div", "list", "list", s.clusters(v, clusters, l)...),
			s.part("div", "no-traffic", "traffic", g.If(len(balancers) == 0, noTraffic())),
		),
		h.Div(h.Class("side"),
			s.part("section", "faults", "card", faults(v.Faults())),
			environment(v.Place().Env),
			s.part("section", "calls", "card", calls(v.Calls(mostCalls))),
			s.part("section", "images", "card", repositories(v.Repositories())),
		),
	}
}

// bar is the head of the page: which sandbox this is, and whether it lives.
func (p Place) bar() g.Node {
	return h.Header(h.Class("bar"),
		h.H1(logo(), g.Text("Sandbox")),
		h.Code(h.Class("address"), g.Text(p.Address)),
		h.Ul(h.Class("facts"),
			h.Li(g.Text(p.Region)), h.Li(h.Class("optional"), g.Text(p.Account)),
			h.Li(h.Title("AWS's waiting times are divided by this"), g.Textf("%g× speed", p.Speed)),
		),
		h.Span(h.ID("live"), h.Class("live"), h.Data("state", "still"), g.Text("snapshot")),
	)
}

func logo() g.Node {
	return svg("svg", "class", "logo", "viewBox", "0 0 32 32", "aria-hidden", "true")(
		svg("rect", "width", 32, "height", 32, "rx", 7)(),
		svg("path", "d", "M7 22h6l3-12 4 12h5")(),
	)
}

// finder chooses among many services.
func (s *sheet) finder(clusters []Cluster, l look) g.Node {
	services := 0
	for _, c := range clusters {
		services += len(c.Services)
	}
	return s.part("div", "finder", "finder", g.If(services > mostOpen || l.find != "",
		h.Form(h.Method("get"), h.Action("/"), h.Role("search"), hook("look"),
			h.Label(h.For("find"), g.Text("Find services")),
			h.Input(h.Type("search"), h.ID("find"), h.Name("find"), h.Value(l.find), h.Placeholder("part of a name"), h.AutoComplete("off")),
			h.Button(h.Type("submit"), g.Text("Find")),
		)))
}

// summary is the whole sandbox in a few numbers, and what is in trouble.
func summary(clusters []Cluster) g.Node {
	var services, running, desired, moving int
	var trouble []g.Node
	for _, c := range clusters {
		services += len(c.Services)
		for _, s := range c.Services {
			running, desired = running+s.Running, desired+s.Desired
			t, word := s.state()
			if t == busy || t == bad || t == warn {
				moving++
			}
			if (t == bad || t == warn) && len(trouble) < mostOpen {
				trouble = append(trouble, h.Li(h.A(h.Href("#"+s.id()), g.Text(clean(s.Name))), g.Text(" "), badge(t, word)))
			}
		}
	}
	if len(clusters) == 0 {
		return nil
	}
	title := "quiet"
	if len(trouble) > 0 {
		title = "trouble"
	}
	return g.Group{
		h.Dl(h.Class("numbers"), h.Data("title", title),
			fact(services, "service", "services"), fact(running, "of "+count(desired, "task runs", "tasks run"), "of "+count(desired, "task runs", "tasks run")),
			fact(moving, "on the move", "on the move")),
		g.If(len(trouble) > 0, h.Ul(h.Class("trouble"), g.Group(trouble))),
	}
}

func fact(n int, one, many string) g.Node {
	if n != 1 {
		one = many
	}
	return h.Div(h.Dd(g.Textf("%d", n)), h.Dt(g.Text(one)))
}

func badge(t tone, word string) g.Node {
	return h.Span(h.Class("badge "+string(t)), g.Text(word))
}

// empty is what is shown where there is nothing: what to do about it.
func empty(text string, commands ...string) g.Node {
	return h.Div(h.Class("empty"), h.P(g.Text(text)),
		g.If(len(commands) > 0, h.Pre(g.Map(commands, func(c string) g.Node { return h.Code(g.Text("$ " + c)) }))))
}
