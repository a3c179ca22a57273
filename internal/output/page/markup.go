package page

import (
	_ "embed"
	"fmt"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

//go:embed page.css
var style string

// document is the page. The style is the only thing in it that is not escaped.
func (d data) document() g.Node {
	return h.Doctype(el("html", at("lang", "en"),
		el("head",
			el("meta", at("charset", "utf-8")),
			el("meta", at("name", "viewport"), at("content", "width=device-width, initial-scale=1")),
			el("meta", at("http-equiv", "Content-Security-Policy"), at("content", "default-src 'none'; style-src 'unsafe-inline'")),
			el("meta", at("name", "color-scheme"), at("content", "light dark")),
			el("title", txt(d.Title+": "+d.Outcome)),
			el("style", g.Raw("\n"+style)),
		),
		el("body", el("main",
			d.header(),
			g.Map(d.Failures, d.failure),
			d.timeline(),
			g.Map(d.Diffs, diff.section),
			d.findings(),
			d.buildSteps(),
			d.log(),
			el("footer", txt("weelo-deploy, "+d.Began.UTC().Format(time.DateTime)+" UTC")),
		)),
	))
}

func (d data) header() g.Node {
	return el("header", at("class", d.Kind),
		el("h1", txt(d.Title+" "), el("span", at("class", "badge"), txtf("%s, exit %d", d.Outcome, d.Result.ExitCode))),
		el("p", at("class", "serving"), el("b", txt(d.Where+":")), txt(" "+d.Serving)),
		el("dl", g.Map(d.Facts, func(f fact) g.Node { return g.Group{el("dt", txt(f.Name)), el("dd", txt(f.Value))} })),
	)
}

func (d data) failure(f event.Failure) g.Node {
	return el("section", at("class", d.Kind),
		el("h2", txt("Cause "), el("code", at("class", "tone"), txt(string(f.Code)))),
		el("div", txt(f.Message)),
		list(f.Evidence),
		some(f.Hints, el("h2", txt("What helps")), list(f.Hints)),
		some(f.Next, el("pre", at("class", "next"), g.Map(f.Next, func(s string) g.Node { return txt("$ " + s + "\n") }))),
		some(f.Logs, el("h2", txt("Last lines of the log")), el("pre", g.Map(f.Logs, func(s string) g.Node { return txt(cut(s) + "\n") }))),
	)
}

func (d data) timeline() g.Node {
	c := d.Chart
	return some(c.Bars, el("section",
		el("h2", txt("Timeline")),
		svg("svg", "width", "100%", "height", c.Height, "role", "img", "aria-label", "stages and tasks over time")(
			g.Map(c.Ticks, func(t tick) g.Node { return c.upright(t, "tick", 0, 3, "soft") }),
			g.Map(c.Marks, func(t tick) g.Node { return c.upright(t, "mark", 14, 4, "t-bad how") }),
			g.Map(c.Heads, func(x head) g.Node { return svg("text", "class", "head", "x", 0, "y", x.Y)(txt(x.Text)) }),
			g.Map(c.Bars, bar.lane),
			c.area(),
		),
		el("p", at("class", "legend"),
			key("wait", "on its way, or of other deployments"), key("run", "running"), key("good", "healthy, done"), key("bad", "failed")),
	))
}

// upright is a line from top to bottom with its label beside it.
func (c chart) upright(t tick, kind string, top, indent int, class string) g.Node {
	return g.Group{
		svg("line", "class", kind, "x1", t.X, "x2", t.X, "y1", 20, "y2", c.Height)(),
		svg("svg", "x", t.X, "y", top, "width", 60, "height", 20, "overflow", "visible")(
			svg("text", "class", class, "x", indent, "y", 13)(txt(t.Label))),
	}
}

func (b bar) lane() g.Node {
	return svg("g")(
		svg("rect", "class", "lane", "x", 0, "y", b.SpanY, "width", "100%", "height", 9, "rx", 2)(),
		g.Map(b.Spans, func(s span) g.Node {
			return svg("rect", "class", "s-"+s.Kind, "x", s.X, "width", s.W, "y", b.SpanY, "height", 9, "rx", 2)(el("title", txt(s.Title)))
		}),
		svg("text", "x", 0, "y", b.TextY)(txt(b.Label), svg("tspan", "class", "detail")(txt(b.Detail))),
		svg("text", "class", "how t-"+b.Kind, "x", "100%", "y", b.TextY, "text-anchor", "end")(txt(b.How)),
	)
}

// area is how many tasks there were, ran and were healthy.
func (c chart) area() g.Node {
	a := c.Health
	if a == nil {
		return nil
	}
	path := func(class, d string) g.Node { return svg("path", "class", class, "d", d)() }
	return g.Group{
		svg("svg", "x", 0, "y", a.Y, "width", "100%", "height", 90, "viewBox", "0 0 1000 100", "preserveAspectRatio", "none")(
			path("a-all", a.All), path("a-ours", a.Ours), path("a-healthy", a.Healthy)),
		svg("text", "class", "soft", "x", "100%", "y", a.LabelY, "text-anchor", "end")(txtf("%d tasks", a.Most)),
	}
}

func (d diff) section() g.Node {
	return some(d.Lines, el("section",
		el("h2", txt("Task definition "+d.From+" → "+d.To)),
		el("pre", at("class", "wrap"), g.Map(d.Lines, func(l diffLine) g.Node {
			return g.Group{el("span", at("class", l.Kind), txt(cut(l.Text))), txt("\n")}
		})),
	))
}

func (d data) findings() g.Node {
	tone := map[event.Status]string{event.Failed: "del", event.Warned: "mod"}
	return some(d.Findings, el("section",
		el("h2", txt("Findings and notes")),
		el("table", at("class", "findings"), g.Map(d.Findings, func(f chronicle.Finding) g.Node {
			var hint g.Node
			if f.Hint != "" {
				hint = g.Group{el("br"), el("span", at("class", "soft"), txt(cut(f.Hint)))}
			}
			return el("tr", el("td", txt(clock(f.At)+" "+f.Stage)), el("td", at("class", tone[f.Status]), txt(cut(f.Text)), hint))
		})),
	))
}

func (d data) buildSteps() g.Node {
	return some(d.Steps, el("section",
		el("h2", txt("Build and push")),
		el("table", g.Map(d.Steps, func(s step) g.Node {
			return el("tr", at("class", s.Kind), el("td", txt(cut(s.Name))), el("td", txt(s.How)))
		})),
	))
}

func (d data) log() g.Node {
	return some(d.Lines, el("section",
		el("h2", txt("Logs and service events")),
		el("pre", g.Map(d.Lines, func(l chronicle.Line) g.Node {
			return g.Group{el("span", at("class", "soft"), txt(clock(l.At)+" "+l.Who)), txt(" " + cut(l.Text) + "\n")}
		})),
	))
}

func list(items []string) g.Node {
	return some(items, el("ul", g.Map(items, func(s string) g.Node { return el("li", txt(cut(s))) })))
}

func key(kind, text string) g.Node {
	return g.Group{el("i", at("style", "background:var(--"+kind+")")), txt(text)}
}

// some is what is shown of a list that is not empty.
func some[T any](list []T, nodes ...g.Node) g.Node {
	if len(list) == 0 {
		return nil
	}
	return g.Group(nodes)
}

// svg begins an element with attributes, name and value in turn, and takes what is
// in it.
func svg(name string, attributes ...any) func(...g.Node) g.Node {
	var nodes []g.Node
	for i := 0; i+1 < len(attributes); i += 2 {
		nodes = append(nodes, at(fmt.Sprint(attributes[i]), fmt.Sprint(attributes[i+1])))
	}
	return func(inside ...g.Node) g.Node { return el(name, append(nodes, inside...)...) }
}

func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly) }

func cut(s string) string { return words.Cut(s, words.Longest) }
