package page

import (
	"fmt"
	"strings"
	"time"

	g "maragu.dev/gomponents"
)

// faults are the faults that are armed, with a way to take each back, and the
// buttons for those of the whole sandbox.
func faults(list []Fault) g.Node {
	shown := list[:min(len(list), mostFaults)]
	return g.Group{
		el("h2", txt("Faults")),
		g.If(len(list) == 0, el("p", at("class", "more"), txt("None is armed. Buttons at each service arm those of its tasks."))),
		el("ul", at("class", "armed"), g.Map(shown, armed)),
		el("form", at("method", "post"), at("action", pressPath), hook("press"),
			g.Map(wide, func(b button) g.Node {
				return el("div", at("class", "act"),
					b.element("break", "w-"+b.Do),
					el("span", at("id", "w-"+b.Do), txt(b.Effect)))
			}),
			g.If(len(list) > 1, el("div", at("class", "act"),
				el("button", at("type", "submit"), at("name", "do"), at("value", DoTakeBack), txt("Take all back")),
				el("span", txtf("removes all %d, from now on", len(list)))))),
	}
}

func armed(f Fault) g.Node {
	return el("li", at("id", "f-"+f.ID), at("class", "fault"),
		el("code", txt(clean(f.Rule))),
		el("span", at("class", "acted"), txt(f.acted())),
		el("form", at("method", "post"), at("action", pressPath), hook("press"), hidden("fault", f.ID),
			el("button", at("type", "submit"), at("name", "do"), at("value", DoTakeBack), at("class", "small"), at("aria-label", "Take back fault "+f.ID), txt("Take back"))))
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
	return el("section", at("id", "env"), at("class", "card"),
		el("h2", txt("Environment")),
		el("pre", at("id", "exports"), at("tabindex", "0"), txt(text.String())),
		el("button", at("type", "button"), at("id", "copy"), at("class", "small"), at("hidden"), txt("Copy")))
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
		el("h2", txt("API calls")),
		g.If(len(list) == 0, el("p", at("class", "more"), txt("None yet. Every AWS client with the environment above is heard here."))),
		el("ol", at("class", "calls"), at("tabindex", "0"), at("aria-label", "Latest API calls"), g.Map(rows(list), func(r row) g.Node {
			return el("li",
				el("time", at("datetime", r.At.UTC().Format(time.RFC3339)), hook("clock"), txt(clock(r.At))),
				el("span", at("class", "operation"), el("b", words(clean(r.Operation))), g.If(r.times > 1, txtf(" ×%d", r.times))),
				el("span", at("class", "soft"), txt(clean(r.Service))),
				el("span", at("class", "outcome "+string(callTone(r.Call))), txt(r.outcome())))
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
		el("h2", txt("Registry")),
		g.If(len(list) == 0, empty("No repository yet.", "aws ecr create-repository --repository-name web")),
		g.Map(list[:min(len(list), mostShelves)], func(r Repository) g.Node {
			id := "r-" + strings.NewReplacer("/", "-", ".", "-").Replace(r.Name)
			return el("details", at("id", id), g.If(len(list) <= openByItself, at("open")),
				el("summary", el("b", txt(clean(r.Name))), el("span", at("class", "soft"), txt(" "+count(len(r.Images), "image", "images"))),
					g.If(r.Immutable, el("span", at("class", "chip"), txt("immutable tags")))),
				el("ul", at("class", "images"), g.Map(r.Images[:min(len(r.Images), mostImages)], image)),
				g.If(len(r.Images) > mostImages, el("p", at("class", "more"), txtf("and %d more", len(r.Images)-mostImages))))
		}),
		g.If(len(list) > mostShelves, el("p", at("class", "more"), txtf("and %d more repositories", len(list)-mostShelves))),
	}
}

func image(i Image) g.Node {
	const mostTags = 6
	return el("li",
		el("span", at("class", "tags"), g.If(len(i.Tags) == 0, el("span", at("class", "soft"), txt("untagged"))),
			g.Map(i.Tags[:min(len(i.Tags), mostTags)], func(t string) g.Node { return el("span", at("class", "chip"), txt(clean(t))) }),
			g.If(len(i.Tags) > mostTags, txtf(" +%d", len(i.Tags)-mostTags))),
		el("span", at("class", "mono"), at("title", clean(i.Digest)), txt(shortDigest(i.Digest))),
		el("span", at("class", "soft"), txt(size(i.Size)+" "), age(i.Pushed)))
}
