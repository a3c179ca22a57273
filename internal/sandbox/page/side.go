package page

import (
	"fmt"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// faults are the faults that are armed, with a way to take each back, and the
// buttons for those of the whole sandbox.
func faults(list []Fault) g.Node {
	shown := list[:min(len(list), mostFaults)]
	return g.Group{
		h.H2(g.Text("Faults")),
		g.If(len(list) == 0, h.P(h.Class("more"), g.Text("None is armed. Buttons at each service arm those of its tasks."))),
		h.Ul(h.Class("armed"), g.Map(shown, armed)),
		h.Form(h.Method("post"), h.Action(pressPath), hook("press"),
			g.Map(wide, func(b button) g.Node {
				return h.Div(h.Class("act"),
					b.element("break", "w-"+b.Do),
					h.Span(h.ID("w-"+b.Do), g.Text(b.Effect)))
			}),
			g.If(len(list) > 1, h.Div(h.Class("act"),
				h.Button(h.Type("submit"), h.Name("do"), h.Value(DoTakeBack), g.Text("Take all back")),
				h.Span(g.Textf("removes all %d, from now on", len(list)))))),
	}
}

func armed(f Fault) g.Node {
	return h.Li(h.ID("f-"+f.ID), h.Class("fault"),
		h.Code(g.Text(clean(f.Rule))),
		h.Span(h.Class("acted"), g.Text(f.acted())),
		h.Form(h.Method("post"), h.Action(pressPath), hook("press"), hidden("fault", f.ID),
			h.Button(h.Type("submit"), h.Name("do"), h.Value(DoTakeBack), h.Class("small"), h.Aria("label", "Take back fault "+f.ID), g.Text("Take back"))))
}

// acted says how often a fault has acted, and whether it will again.
func (f Fault) acted() string {
	switch {
	case f.Times > 0 && f.Acted >= f.Times:
		return fmt.Sprintf("used up, acted %d×", f.Acted)
	case f.Times > 0:
		return fmt.Sprintf("acted %d of %d×", f.Acted, f.Times)
	}
	return fmt.Sprintf("acted %d×", f.Acted)
}

// environment is what to copy into a shell.
func environment(env []string) g.Node {
	var text strings.Builder
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&text, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return h.Section(h.ID("env"), h.Class("card"),
		h.H2(g.Text("Environment")),
		h.Pre(h.ID("exports"), h.TabIndex("0"), g.Text(text.String())),
		h.Button(h.Type("button"), h.ID("copy"), h.Class("small"), g.Attr("hidden"), g.Text("Copy")))
}

// row is calls in a row that are alike.
type row struct {
	Call
	times int
}

// rows puts calls alike that follow one another into one row, the newest first.
func rows(list []Call) []row {
	var out []row
	for _, c := range list {
		if n := len(out); n > 0 && out[n-1].Service == c.Service && out[n-1].Operation == c.Operation && out[n-1].Error == c.Error && out[n-1].Status == c.Status {
			out[n-1].times++
			continue
		}
		if len(out) == mostRows {
			break
		}
		out = append(out, row{c, 1})
	}
	return out
}

func calls(list []Call) g.Node {
	return g.Group{
		h.H2(g.Text("API calls")),
		g.If(len(list) == 0, h.P(h.Class("more"), g.Text("None yet. Every AWS client with the environment above is heard here."))),
		h.Ol(h.Class("calls"), h.TabIndex("0"), h.Aria("label", "Latest API calls"), g.Map(rows(list), func(r row) g.Node {
			return h.Li(
				h.Time(h.DateTime(r.At.UTC().Format(time.RFC3339)), hook("clock"), g.Text(clock(r.At))),
				h.Span(h.Class("operation"), h.B(g.Text(clean(r.Operation))), g.If(r.times > 1, g.Textf(" ×%d", r.times))),
				h.Span(h.Class("soft"), g.Text(clean(r.Service))),
				h.Span(h.Class("outcome "+string(callTone(r.Call))), g.Text(r.outcome())))
		})),
	}
}

// outcome is how a call ended.
func (r row) outcome() string {
	switch {
	case r.Error != "":
		return clean(r.Error)
	case r.Status == 0:
		return "no answer"
	case r.Status >= 400:
		return fmt.Sprintf("HTTP %d", r.Status)
	}
	return fmt.Sprintf("%d ms", r.Took.Milliseconds())
}

func repositories(list []Repository) g.Node {
	return g.Group{
		h.H2(g.Text("Registry")),
		g.If(len(list) == 0, empty("No repository yet.", "aws ecr create-repository --repository-name web")),
		g.Map(list[:min(len(list), mostShelves)], func(r Repository) g.Node {
			id := "r-" + strings.NewReplacer("/", "-", ".", "-").Replace(r.Name)
			return h.Details(h.ID(id), g.If(len(list) <= openByItself, g.Attr("open")),
				h.Summary(h.B(g.Text(clean(r.Name))), h.Span(h.Class("soft"), g.Text(" "+count(len(r.Images), "image", "images"))),
					g.If(r.Immutable, h.Span(h.Class("chip"), g.Text("immutable tags")))),
				h.Ul(h.Class("images"), g.Map(r.Images[:min(len(r.Images), mostImages)], image)),
				g.If(len(r.Images) > mostImages, h.P(h.Class("more"), g.Textf("and %d more", len(r.Images)-mostImages))))
		}),
		g.If(len(list) > mostShelves, h.P(h.Class("more"), g.Textf("and %d more repositories", len(list)-mostShelves))),
	}
}

func image(i Image) g.Node {
	const mostTags = 6
	return h.Li(
		h.Span(h.Class("tags"), g.If(len(i.Tags) == 0, h.Span(h.Class("soft"), g.Text("untagged"))),
			g.Map(i.Tags[:min(len(i.Tags), mostTags)], func(t string) g.Node { return h.Span(h.Class("chip"), g.Text(clean(t))) }),
			g.If(len(i.Tags) > mostTags, g.Textf(" +%d", len(i.Tags)-mostTags))),
		h.Span(h.Class("mono"), h.Title(clean(i.Digest)), g.Text(shortDigest(i.Digest))),
		h.Span(h.Class("soft"), g.Text(size(i.Size)+" "), age(i.Pushed)))
}
