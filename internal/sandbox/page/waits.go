package page

import (
	g "maragu.dev/gomponents"
)

// waits are the hooks that a service's deployment waits for, and how one answers
// those that wait for somebody.
func waits(svc Service, d Detail) g.Node {
	if len(d.Attempts) == 0 {
		return nil
	}
	last := d.Attempts[len(d.Attempts)-1]
	return g.Map(last.Hooks, func(x Hook) g.Node {
		told := svc.id() + "w-" + x.ID
		who := "waits for you"
		if x.Target != "" {
			who = "waits for " + clean(x.Target)
		}
		return el("form", at("method", "post"), at("action", pressPath), hook("press"),
			hidden("cluster", svc.Cluster), hidden("name", svc.Name), hidden("hook", x.ID),
			el("p", at("id", told), el("b", txt(number(clean(last.Revision))+" "+who)), txt(" at "), el("span", at("class", "mono"), txt(clean(last.Stage))),
				g.If(!x.Until.IsZero(), g.Group{txt(", until "), moment(x.Until), txt(", then " + clean(x.Then))})),
			g.If(x.Target == "", g.Group{goOn.element("main", told, at("title", goOn.Effect)), hookBack.element("main", told, at("title", hookBack.Effect))}))
	})
}
