package page

import (
	"fmt"
	"net"
	"strings"

	g "maragu.dev/gomponents"
)

// tasks are a service's tasks: those that are meant to run, those on their way
// out, and those that stopped.
func tasks(svc Service, list []Task, more int, l look) g.Node {
	var live, stopping, stopped []g.Node
	for _, t := range list {
		switch {
		case t.Live && len(live) < mostLive:
			live = append(live, task(svc, t, l))
		case !t.Live && t.Status != "STOPPED" && len(stopping) < mostStopped:
			stopping = append(stopping, task(svc, t, l))
		case !t.Live && t.Status == "STOPPED" && len(stopped) < mostStopped:
			stopped = append(stopped, task(svc, t, l))
		default:
			more++
		}
	}
	return g.Group{
		el("h4", txt("Tasks")),
		g.If(len(list) == 0, el("p", at("class", "more"), txt("None yet."))),
		el("ul", at("class", "tasks"), g.Group(live)),
		g.If(len(stopping) > 0, g.Group{el("h5", txt("Stopping")), el("ul", at("class", "tasks"), g.Group(stopping))}),
		g.If(len(stopped) > 0, el("h5", txt("Stopped"))),
		el("ul", at("class", "tasks"), g.Group(stopped)),
		g.If(more > 0, el("p", at("class", "more"), txt("and "+count(more, "task", "tasks")+" more"))),
	}
}

func task(svc Service, t Task, l look) g.Node {
	from := Source{Cluster: svc.Cluster, Service: svc.Name, Task: t.ID}
	return el("li", at("id", "t-"+t.ID), at("class", "task"),
		el("i", at("class", "dot "+string(t.tone())), at("aria-hidden", "true")),
		el("a", at("class", "mono"), at("href", l.reading(from).query()+"#"+svc.id()+"-l"), hook("look"), at("title", "show the log of "+t.ID), txt(shortID(t.ID))),
		el("span", at("class", "revision"), txt(":"+number(clean(t.Revision)))),
		t.told(),
		el("span", at("class", "links"), g.Map(t.addresses(), func(a string) g.Node {
			return el("a", at("href", "http://"+a), at("target", "_blank"), at("rel", "noopener noreferrer"), txt(a[strings.LastIndexByte(a, ':'):]))
		})),
		taskAge(t),
		g.If(t.Live && svc.Name != "", el("form", at("method", "post"), at("action", pressPath), hook("press"),
			hidden("cluster", svc.Cluster), hidden("name", svc.Name), hidden("task", t.ID),
			el("button", at("type", "submit"), at("name", "do"), at("value", DoStopTask), at("class", "small"), at("aria-label", "Stop task "+shortID(t.ID)), at("title", "StopTask, at once"), txt("Stop")))),
	)
}

func hidden(name, value string) g.Node {
	return el("input", at("type", "hidden"), at("name", name), at("value", value))
}

func taskAge(t Task) g.Node {
	switch {
	case !t.Stopped.IsZero():
		return age(t.Stopped)
	case !t.Started.IsZero():
		return age(t.Started)
	}
	return age(t.Created)
}

// told is how a task is, and why it stopped.
func (t Task) told() g.Node {
	return el("span", at("class", "told"), el("span", at("class", "word "+string(t.tone())), txt(t.words())),
		g.Map(t.reasons(), func(r string) g.Node { return el("span", at("class", "soft"), txt(clean(r))) }))
}

// words say how a task is: its status, its health, and how its containers ended.
func (t Task) words() string {
	text := strings.ToLower(clean(t.Status))
	if t.Live && t.checked() {
		text += ", " + strings.ToLower(clean(t.Health))
	}
	for _, c := range t.Containers {
		if c.Exit != nil {
			text += fmt.Sprintf(", %s exit %d%s", clean(c.Name), *c.Exit, signal(*c.Exit))
		}
	}
	return text
}

// signal is the signal that an exit code above 128 stands for, where people know it.
func signal(code int) string {
	names := map[int]string{132: "SIGILL", 134: "SIGABRT", 135: "SIGBUS", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}
	if n := names[code]; n != "" {
		return " (" + n + ")"
	}
	return ""
}

// addresses are where a browser reaches the task.
func (t Task) addresses() []string {
	var list []string
	for _, c := range t.Containers {
		for _, p := range c.Ports {
			if host, port, err := net.SplitHostPort(p); err == nil && t.Live && len(list) < 4 {
				if host == "" || host == "0.0.0.0" || host == "::" {
					host = "127.0.0.1"
				}
				list = append(list, net.JoinHostPort(host, port))
			}
		}
	}
	return list
}

// reasons are why a task stopped, each once.
func (t Task) reasons() []string {
	var list []string
	if t.Reason != "" {
		list = append(list, t.Reason)
	}
	for _, c := range t.Containers {
		if c.Reason != "" && !strings.Contains(t.Reason, c.Reason) {
			list = append(list, c.Name+": "+c.Reason)
		}
	}
	return list
}

// loose are the tasks of a cluster that were run by themselves.
func (s *sheet) loose(c Cluster) g.Node {
	if len(c.Loose) == 0 {
		return nil
	}
	list := c.Loose[:min(len(c.Loose), mostStopped)]
	return s.part("div", "loose-"+Service{Cluster: c.Name}.id(), "card",
		el("h4", txt("Tasks run by themselves")),
		el("ul", at("class", "tasks"), g.Map(list, func(t Task) g.Node {
			return el("li", at("id", "t-"+t.ID), at("class", "task"),
				el("i", at("class", "dot "+string(t.tone())), at("aria-hidden", "true")),
				el("span", at("class", "mono"), txt(shortID(t.ID))), el("span", at("class", "revision"), txt(clean(t.Revision))),
				t.told(), el("span", at("class", "links")), taskAge(t))
		})),
		g.If(len(c.Loose) > len(list), el("p", at("class", "more"), txt("and "+count(len(c.Loose)-len(list), "task", "tasks")+" more"))))
}

// events are the service's own words, without its name at their beginnings.
func events(svc Service, list []Event) g.Node {
	return g.Group{
		el("h4", txt("Events")),
		g.If(len(list) == 0, el("p", at("class", "more"), txt("None yet."))),
		el("ol", at("class", "events"), at("tabindex", "0"), at("aria-label", "Service events"), g.Map(list[:min(len(list), mostEvents)], func(e Event) g.Node {
			return el("li", at("id", "e-"+e.ID), moment(e.At), el("span", txt(clean(strings.TrimPrefix(e.Text, "(service "+svc.Name+") ")))))
		})),
	}
}

// chooser says whose lines are shown, and of whom they may be.
func chooser(svc Service, list []Task, l look, from Source) g.Node {
	option := func(s Source, text string) g.Node {
		return el("option", at("value", s.key()), g.If(s == from, at("selected")), txt(text))
	}
	options := []g.Node{option(Source{Cluster: svc.Cluster, Service: svc.Name}, "all tasks")}
	known := from.Task == ""
	for _, t := range list {
		if len(options) > mostLive+mostStopped {
			break
		}
		of := Source{Cluster: svc.Cluster, Service: svc.Name, Task: t.ID}
		text := fmt.Sprintf("%s :%s %s", shortID(t.ID), number(clean(t.Revision)), strings.ToLower(clean(t.Status)))
		options = append(options, option(of, text))
		known = known || of == from
		for _, c := range t.Containers {
			of.Container = c.Name
			if len(t.Containers) > 1 {
				options = append(options, option(of, "  "+text+" · "+clean(c.Name)))
			}
			known = known || of == from
		}
	}
	if !known {
		options = append(options, option(from, shortID(from.Task)+" "+clean(from.Container)))
	}
	id := svc.id() + "-s"
	return el("form", at("method", "get"), at("action", "/"), hook("look"),
		g.Map(l.open, func(s string) g.Node { return hidden("open", s) }), g.Map(l.shut, func(s string) g.Node { return hidden("shut", s) }),
		g.If(l.find != "", hidden("find", l.find)),
		el("h4", el("label", at("for", id), txt("Log"))), el("select", at("id", id), at("name", "log"), g.Group(options)),
		el("button", at("type", "submit"), at("class", "small script-hides"), txt("Show")),
		el("span", at("class", "follow"), txt("follows at its end")))
}

func lines(list []Line) g.Node {
	if len(list) == 0 {
		return el("p", at("class", "more"), txt("No lines. Containers with the log driver awslogs are heard here."))
	}
	return el("ol", at("class", "lines"), hook("follow"), at("tabindex", "0"), at("aria-label", "Log"), g.Map(list, func(x Line) g.Node {
		return el("li", at("id", "l-"+x.Key), el("time", at("datetime", x.At.UTC().Format("2006-01-02T15:04:05.000Z")), hook("clock"), txt(clock(x.At))),
			el("b", txt(clean(x.Who))), el("span", txt(clean(x.Text))))
	}))
}
