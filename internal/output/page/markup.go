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
	return h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(g.Attr("http-equiv", "Content-Security-Policy"), h.Content("default-src 'none'; style-src 'unsafe-inline'")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.TitleEl(g.Text(d.Title+": "+d.Outcome)),
			h.StyleEl(g.Raw("\n"+style)),
		),
		h.Body(h.Main(
			d.header(),
			g.Map(d.Failures, d.failure),
			d.timeline(),
			g.Map(d.Diffs, diff.section),
			d.findings(),
			d.buildSteps(),
			d.log(),
			h.Footer(g.Text("weelo-deploy, "+d.Began.UTC().Format(time.DateTime)+" UTC")),
		)),
	))
}

func (d data) header() g.Node {
	return h.Header(h.Class(d.Kind),
		h.H1(g.Text(d.Title+" "), h.Span(h.Class("badge"), g.Textf("%s, exit %d", d.Outcome, d.Result.ExitCode))),
		h.P(h.Class("serving"), h.B(g.Text(d.Where+":")), g.Text(" "+d.Serving)),
		h.Dl(g.Map(d.Facts, func(f fact) g.Node { return g.Group{h.Dt(g.Text(f.Name)), h.Dd(g.Text(f.Value))} })),
	)
}

func (d data) failure(f event.Failure) g.Node {
	return h.Section(h.Class(d.Kind),
		h.H2(g.Text("Cause "), h.Code(h.Class("tone"), g.Text(string(f.Code)))),
		h.Div(g.Text(f.Message)),
		list(f.Evidence),
		some(f.Hints, h.H2(g.Text("What helps")), list(f.Hints)),
		some(f.Next, h.Pre(h.Class("next"), g.Map(f.Next, func(s string) g.Node { return g.Text("$ " + s + "\n") }))),
		some(f.Logs, h.H2(g.Text("Last lines of the log")), h.Pre(g.Map(f.Logs, func(s string) g.Node { return g.Text(cut(s) + "\n") }))),
	)
}

func (d data) timeline() g.Node {
	c := d.Chart
	return some(c.Bars, h.Section(
		h.H2(g.Text("Timeline")),
		svg("svg", "width", "100%", "height", c.Height, "role", "img", "aria-label", "stages and tasks over time")(
			g.Map(c.Ticks, func(t tick) g.Node { return c.upright(t, "tick", 0, 3, "soft") }),
			g.Map(c.Marks, func(t tick) g.Node { return c.upright(t, "mark", 14, 4, "t-bad how") }),
			g.Map(c.Heads, func(x head) g.Node { return svg("text", "class", "head", "x", 0, "y", x.Y)(g.Text(x.Text)) }),
			g.Map(c.Bars, bar.lane),
			c.area(),
		),
		h.P(h.Class("legend"),
			key("wait", "on its way, or of other deployments"), key("run", "running"), key("good", "healthy, done"), key("bad", "failed")),
	))
}

// upright is a line from top to bottom with its label beside it.
func (c chart) upright(t tick, kind string, top, indent int, class string) g.Node {
	return g.Group{
		svg("line", "class", kind, "x1", t.X, "x2", t.X, "y1", 20, "y2", c.Height)(),
		svg("svg", "x", t.X, "y", top, "width", 60, "height", 20, "overflow", "visible")(
			svg("text", "class", class, "x", indent, "y", 13)(g.Text(t.Label))),
	}
}

func (b bar) lane() g.Node {
	return svg("g")(
		svg("rect", "class", "lane", "x", 0, "y", b.SpanY, "width", "100%", "height", 9, "rx", 2)(),
		g.Map(b.Spans, func(s span) g.Node {
			return svg("rect", "class", "s-"+s.Kind, "x", s.X, "width", s.W, "y", b.SpanY, "height", 9, "rx", 2)(h.TitleEl(g.Text(s.Title)))
		}),
		svg("text", "x", 0, "y", b.TextY)(g.Text(b.Label), svg("tspan", "class", "detail")(g.Text(b.Detail))),
		svg("text", "class", "how t-"+b.Kind, "x", "100%", "y", b.TextY, "text-anchor", "end")(g.Text(b.How)),
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
		svg("text", "class", "soft", "x", "100%", "y", a.LabelY, "text-anchor", "end")(g.Textf("%d tasks", a.Most)),
	}
}

func (d diff) section() g.Node {
	return some(d.Lines, h.Section(
		h.H2(g.Text("Task definition "+d.From+" → "+d.To)),
		h.Pre(h.Class("wrap"), g.Map(d.Lines, func(l diffLine) g.Node {
			return g.Group{h.Span(h.Class(l.Kind), g.Text(cut(l.Text))), g.Text("\n")}
		})),
	))
}

func (d data) findings() g.Node {
	tone := map[event.Status]string{event.Failed: "del", event.Warned: "mod"}
	return some(d.Findings, h.Section(
		h.H2(g.Text("Findings and notes")),
		h.Table(h.Class("findings"), g.Map(d.Findings, func(f chronicle.Finding) g.Node {
			var hint g.Node
			if f.Hint != "" {
				hint = g.Group{h.Br(), h.Span(h.Class("soft"), g.Text(cut(f.Hint)))}
			}
			return h.Tr(h.Td(g.Text(clock(f.At)+" "+f.Stage)), h.Td(h.Class(tone[f.Status]), g.Text(cut(f.Text)), hint))
		})),
	))
}

func (d data) buildSteps() g.Node {
	return some(d.Steps, h.Section(
		h.H2(g.Text("Build and push")),
		h.Table(g.Map(d.Steps, func(s step) g.Node {
			return h.Tr(h.Class(s.Kind), h.Td(g.Text(cut(s.Name))), h.Td(g.Text(s.How)))
		})),
	))
}

func (d data) log() g.Node {
	return some(d.Lines, h.Section(
		h.H2(g.Text("Logs and service events")),
		h.Pre(g.Map(d.Lines, func(l chronicle.Line) g.Node {
			return g.Group{h.Span(h.Class("soft"), g.Text(clock(l.At)+" "+l.Who)), g.Text(" " + cut(l.Text) + "\n")}
		})),
	))
}

func list(items []string) g.Node {
	return some(items, h.Ul(g.Map(items, func(s string) g.Node { return h.Li(g.Text(cut(s))) })))
}

func key(kind, text string) g.Node {
	return g.Group{h.I(h.Style("background:var(--" + kind + ")")), g.Text(text)}
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
		nodes = append(nodes, g.Attr(fmt.Sprint(attributes[i]), fmt.Sprint(attributes[i+1])))
	}
	return func(inside ...g.Node) g.Node { return g.El(name, append(nodes, inside...)...) }
}

func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly) }

func cut(s string) string { return words.Cut(s, words.Longest) }
