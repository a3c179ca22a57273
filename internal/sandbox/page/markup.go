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
	return h.Doctype(el("html", at("lang", "en"),
		el("head",
			el("meta", at("charset", "utf-8")),
			el("meta", at("name", "viewport"), at("content", "width=device-width, initial-scale=1")),
			el("meta", at("name", "color-scheme"), at("content", "light dark")),
			el("link", at("rel", "icon"), at("href", icon)),
			el("title", txt("Sandbox "+strings.TrimPrefix(place.Address, "http://"))),
			el("style", g.Raw(style)),
		),
		el("body", at("data-instance", place.Instance),
			el("a", at("class", "skip"), at("href", "#list"), txt("To the services")),
			place.bar(),
			el("p", at("id", "gone"), at("role", "alert"), at("hidden")),
			el("main", s.content(v, l)...),
			el("p", at("id", "toast"), at("role", "status"), at("aria-live", "polite")),
			el("script", g.Raw(script)),
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
		el("div", at("class", "wide"),
			s.part("section", "sum", "sum", summary(clusters)),
			s.part("div", "traffic", "traffic", traffic(balancers)),
			s.finder(clusters, l),
			s.part("div", "list", "list", s.clusters(v, clusters, l)...),
			s.part("div", "no-traffic", "traffic", g.If(len(balancers) == 0, noTraffic())),
		),
		el("div", at("class", "side"),
			s.part("section", "faults", "card", faults(v.Faults())),
			environment(v.Place().Env),
			s.part("section", "calls", "card", calls(v.Calls(mostCalls))),
			s.part("section", "images", "card", repositories(v.Repositories())),
		),
	}
}

// bar is the head of the page: which sandbox this is, and whether it lives.
func (p Place) bar() g.Node {
	return el("header", at("class", "bar"),
		el("h1", logo(), txt("Sandbox")),
		el("code", at("class", "address"), txt(p.Address)),
		el("ul", at("class", "facts"),
			el("li", txt(p.Region)), el("li", at("class", "optional"), txt(p.Account)),
			el("li", at("title", "AWS's waiting times are divided by this"), txtf("%g× speed", p.Speed)),
		),
		el("span", at("id", "live"), at("class", "live"), at("data-state", "still"), txt("snapshot")),
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
		el("form", at("method", "get"), at("action", "/"), at("role", "search"), hook("look"),
			el("label", at("for", "find"), txt("Find services")),
			el("input", at("type", "search"), at("id", "find"), at("name", "find"), at("value", l.find), at("placeholder", "part of a name"), at("autocomplete", "off")),
			el("button", at("type", "submit"), txt("Find")),
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
				trouble = append(trouble, el("li", el("a", at("href", "#"+s.id()), txt(clean(s.Name))), txt(" "), badge(t, word)))
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
		el("dl", at("class", "numbers"), at("data-title", title),
			fact(services, "service", "services"), fact(running, "of "+count(desired, "task runs", "tasks run"), "of "+count(desired, "task runs", "tasks run")),
			fact(moving, "on the move", "on the move")),
		g.If(len(trouble) > 0, el("ul", at("class", "trouble"), g.Group(trouble))),
	}
}

func fact(n int, one, many string) g.Node {
	if n != 1 {
		one = many
	}
	return el("div", el("dd", txtf("%d", n)), el("dt", txt(one)))
}

func badge(t tone, word string) g.Node {
	return el("span", at("class", "badge "+string(t)), txt(word))
}

// empty is what is shown where there is nothing: what to do about it.
func empty(text string, commands ...string) g.Node {
	return el("div", at("class", "empty"), el("p", txt(text)),
		g.If(len(commands) > 0, el("pre", g.Map(commands, func(c string) g.Node { return el("code", txt("$ "+c)) }))))
}
