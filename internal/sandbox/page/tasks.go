package page

import (
	"fmt"
	"net"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// tasks are a service's tasks: those that are meant to run, and those that stopped.
func tasks(svc Service, list []Task, more int, l look) g.Node {
	var live, stopped []g.Node
	for _, t := range list {
		switch {
		case t.Live && len(live) < mostLive:
			live = append(live, task(svc, t, l))
		case !t.Live && len(stopped) < mostStopped:
			stopped = append(stopped, task(svc, t, l))
		default:
			more++
		}
	}
	return g.Group{
		h.H4(g.Text("Tasks")),
		g.If(len(list) == 0, h.P(h.Class("more"), g.Text("None yet."))),
		h.Ul(h.Class("tasks"), g.Group(live)),
		g.If(len(stopped) > 0, h.H5(g.Text("Stopped"))),
		h.Ul(h.Class("tasks"), g.Group(stopped)),
		g.If(more > 0, h.P(h.Class("more"), g.Text("and "+count(more, "task", "tasks")+" more"))),
	}
}

func task(svc Service, t Task, l look) g.Node {
	from := Source{Cluster: svc.Cluster, Service: svc.Name, Task: t.ID}
	return h.Li(h.ID("t-"+t.ID), h.Class("task"),
		h.I(h.Class("dot "+string(t.tone())), g.Attr("aria-hidden", "true")),
		h.A(h.Class("mono"), h.Href(l.reading(from).query()+"#"+svc.id()+"-l"), hook("look"), h.Title("show the log of "+t.ID), g.Text(shortID(t.ID))),
		h.Span(h.Class("revision"), g.Text(":"+number(clean(t.Revision)))),
		t.told(),
		h.Span(h.Class("links"), g.Map(t.addresses(), func(a string) g.Node {
			return h.A(h.Href("http://"+a), h.Target("_blank"), h.Rel("noopener noreferrer"), g.Text(a[strings.LastIndexByte(a, ':'):]))
		})),
		taskAge(t),
		g.If(t.Live && svc.Name != "", h.Form(h.Method("post"), h.Action(pressPath), hook("press"),
			hidden("cluster", svc.Cluster), hidden("name", svc.Name), hidden("task", t.ID),
			h.Button(h.Type("submit"), h.Name("do"), h.Value(DoStopTask), h.Class("small"), h.Aria("label", "Stop task "+shortID(t.ID)), h.Title("StopTask, at once"), g.Text("Stop")))),
	)
}

func hidden(name, value string) g.Node {
	return h.Input(h.Type("hidden"), h.Name(name), h.Value(value))
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
	return h.Span(h.Class("told"), h.Span(h.Class("word "+string(t.tone())), g.Text(t.words())),
		g.Map(t.reasons(), func(r string) g.Node { return h.Span(h.Class("soft"), g.Text(clean(r))) }))
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
		h.H4(g.Text("Tasks run by themselves")),
		h.Ul(h.Class("tasks"), g.Map(list, func(t Task) g.Node {
			return h.Li(h.ID("t-"+t.ID), h.Class("task"),
				h.I(h.Class("dot "+string(t.tone())), g.Attr("aria-hidden", "true")),
				h.Span(h.Class("mono"), g.Text(shortID(t.ID))), h.Span(h.Class("revision"), g.Text(clean(t.Revision))),
				t.told(), h.Span(h.Class("links")), taskAge(t))
		})),
		g.If(len(c.Loose) > len(list), h.P(h.Class("more"), g.Text("and "+count(len(c.Loose)-len(list), "task", "tasks")+" more"))))
}

// events are the service's own words, without its name at their beginnings.
func events(svc Service, list []Event) g.Node {
	return g.Group{
		h.H4(g.Text("Events")),
		g.If(len(list) == 0, h.P(h.Class("more"), g.Text("None yet."))),
		h.Ol(h.Class("events"), h.TabIndex("0"), h.Aria("label", "Service events"), g.Map(list[:min(len(list), mostEvents)], func(e Event) g.Node {
			return h.Li(h.ID("e-"+e.ID), h.Time(h.DateTime(e.At.UTC().Format("2006-01-02T15:04:05Z")), hook("clock"), g.Text(clock(e.At))), h.Span(g.Text(clean(strings.TrimPrefix(e.Text, "(service "+svc.Name+") ")))))
		})),
	}
}

// chooser says whose lines are shown, and of whom they may be.
func chooser(svc Service, list []Task, l look, from Source) g.Node {
	option := func(s Source, text string) g.Node {
		return h.Option(h.Value(s.key()), g.If(s == from, h.Selected()), g.Text(text))
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
	return h.Form(h.Method("get"), h.Action("/"), hook("look"),
		g.Map(l.open, func(s string) g.Node { return hidden("open", s) }), g.Map(l.shut, func(s string) g.Node { return hidden("shut", s) }),
		g.If(l.find != "", hidden("find", l.find)),
		h.H4(h.Label(h.For(id), g.Text("Log"))), h.Select(h.ID(id), h.Name("log"), g.Group(options)),
		h.Button(h.Type("submit"), h.Class("small script-hides"), g.Text("Show")),
		h.Span(h.Class("follow"), g.Text("follows at its end")))
}

func lines(list []Line) g.Node {
	if len(list) == 0 {
		return h.P(h.Class("more"), g.Text("No lines. Containers with the log driver awslogs are heard here."))
	}
	return h.Ol(h.Class("lines"), hook("follow"), h.TabIndex("0"), h.Aria("label", "Log"), g.Map(list, func(x Line) g.Node {
		return h.Li(h.ID("l-"+x.Key), h.Time(h.DateTime(x.At.UTC().Format("2006-01-02T15:04:05.000Z")), hook("clock"), g.Text(clock(x.At))),
			h.B(g.Text(clean(x.Who))), h.Span(g.Text(clean(x.Text))))
	}))
}
