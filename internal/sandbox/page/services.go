package page

import (
	"fmt"
	"strings"
	"time"

	g "maragu.dev/gomponents"
)

// clusters are the services of each cluster.
func (s *sheet) clusters(v View, clusters []Cluster, l look) []g.Node {
	if len(clusters) == 0 {
		return []g.Node{nothing()}
	}
	total, drawn, found := 0, 0, 0
	for _, c := range clusters {
		total += len(c.Services)
	}
	var out []g.Node
	for _, c := range clusters {
		var cards []g.Node
		for _, svc := range c.Services {
			if !strings.Contains(strings.ToLower(svc.key()), strings.ToLower(l.find)) {
				continue
			}
			if found++; drawn < mostServices {
				drawn++
				cards = append(cards, s.card(v, svc, l, total))
			}
		}
		if len(cards) == 0 && l.find != "" && len(c.Loose) == 0 {
			continue
		}
		out = append(out, el("section", at("id", "c-"+c.Name), el("h2", at("class", "cluster"), el("span", txt("Cluster ")), txt(clean(c.Name))),
			g.If(len(c.Services) == 0, el("div", at("class", "card"), empty("No service in this cluster yet.",
				"aws ecs create-service --cluster "+clean(c.Name)+" --service-name web --task-definition web --desired-count 2"))),
			g.Group(cards), s.loose(c)))
	}
	if found > drawn {
		out = append(out, el("p", at("class", "more"), txtf("%d more services are not shown; find them by a part of their names.", found-drawn)))
	}
	if found == 0 && l.find != "" {
		out = append(out, el("p", at("class", "more"), txtf("No service is called like %q.", clean(l.find))))
	}
	return out
}

// nothing says how to come to something.
func nothing() g.Node {
	return el("section", at("class", "card"),
		empty("There is no cluster yet. Two commands make one and the service web in it, of any image, in a shell with the environment of this page:",
			"aws ecs create-cluster --cluster-name demo",
			"aws ecs create-service --cluster demo --service-name web --desired-count 2 --task-definition $(aws ecs register-task-definition --family web --container-definitions name=app,image=nginx:alpine,memory=128 --query taskDefinition.taskDefinitionArn --output text)"),
		empty("Or begin with an incident, or with a release of your own:",
			"weelo-deploy sandbox up --name incident --seed examples/incident/stuck.yaml",
			"weelo-deploy release --sandbox"))
}

// card is a service: a line, and all of it when it is open.
func (s *sheet) card(v View, svc Service, l look, total int) g.Node {
	id, isOpen := svc.id(), l.shows(svc.key(), total)
	head := s.part("header", id+"-h", "head", s.head(svc, l, isOpen)...)
	if !isOpen {
		return s.part("article", id, "card service", head)
	}
	d, _ := v.Service(svc.Cluster, svc.Name)
	from := Source{Cluster: svc.Cluster, Service: svc.Name}
	if l.source.Cluster == svc.Cluster && l.source.Service == svc.Name {
		from = l.source
	}
	return s.part("article", id, "card service", head,
		s.part("div", id+"-p", "path", path(way(d.Attempts), svc, d.Tasks)),
		s.part("div", id+"-w", "waits", waits(svc, d)),
		s.part("div", id+"-a", "acts", acts(svc, d)),
		s.part("div", id+"-d", "block", deployments(svc, d)),
		s.part("div", id+"-t", "block", tasks(svc, d.Tasks, d.More, l)),
		s.part("div", id+"-e", "block", events(svc, d.Events)),
		s.part("div", id+"-c", "chooser", chooser(svc, d.Tasks, l, from)),
		s.part("div", id+"-l", "log", lines(v.Lines(from, mostLines))),
	)
}

// head is a service in one line.
func (s *sheet) head(svc Service, l look, isOpen bool) []g.Node {
	t, word := svc.state()
	label := "open"
	if isOpen {
		label = "close"
	}
	return []g.Node{
		el("h3", el("a", at("href", l.turned(svc.key(), isOpen).query()+"#"+svc.id()), hook("look"), at("aria-expanded", fmt.Sprint(isOpen)),
			at("title", label), txt(clean(svc.Name)))),
		badge(t, word),
		el("span", at("class", "revision"), txt(clean(svc.Revision))),
		el("span", at("class", "ratio"), el("b", txtf("%d/%d", svc.Running, svc.Desired)), txt(" running")),
		g.If(svc.Failed > 0, el("span", at("class", "bad ratio"), txt(failedOf(svc.Failed, svc.Threshold)))),
		g.If(svc.Strategy != "" && svc.Strategy != "ROLLING", el("span", at("class", "chip"), txt(plain(svc.Strategy)))),
		dots(svc.Dots),
	}
}

// failedOf says how far the circuit breaker is from opening.
func failedOf(failed, threshold int) string {
	if threshold == 0 {
		return count(failed, "task", "tasks") + " failed, no circuit breaker"
	}
	return fmt.Sprintf("%d/%d failed", failed, threshold)
}

// dots are the tasks that are meant to run, as small squares.
func dots(list []Dot) g.Node {
	more := max(len(list)-mostDots, 0)
	return el("span", at("class", "dots"), at("aria-hidden", "true"),
		g.Map(list[more:], func(d Dot) g.Node { return el("i", at("class", string(d.Tone)), at("title", clean(d.Revision))) }),
		g.If(more > 0, txtf("+%d", more)))
}

// acts are the buttons of a service. One that would do nothing says why.
func acts(svc Service, d Detail) g.Node {
	row := func(b button, kind, why string) g.Node {
		if why == "" {
			why = b.Effect
			return el("div", at("class", "act"), b.element(kind, svc.id()+b.Do), el("span", at("id", svc.id()+b.Do), txt(why)))
		}
		return el("div", at("class", "act"), b.element(kind, svc.id()+b.Do, at("disabled")), el("span", at("id", svc.id()+b.Do), txt(why)))
	}
	noWay, unchecked := "", ""
	if !onTheWay(d) {
		noWay = "nothing is on its way that could be rolled back"
	}
	if d.Unchecked() {
		unchecked = "its containers have no health check that could be slow"
	}
	return el("form", at("method", "post"), at("action", pressPath), hook("press"),
		hidden("cluster", svc.Cluster), hidden("name", svc.Name),
		row(deploy, "main", ""), row(rollBack, "main", noWay),
		row(crash, "break", ""), row(noPull, "break", ""), row(slowHealth, "break", unchecked))
}

// Unchecked says whether the service's tasks have no health check.
func (d Detail) Unchecked() bool { return len(d.Tasks) > 0 && !d.Tasks[0].checked() }

// onTheWay says whether a service deployment can be rolled back.
func onTheWay(d Detail) bool {
	if len(d.Attempts) == 0 {
		return false
	}
	s := d.Attempts[len(d.Attempts)-1].Status
	return s == "PENDING" || s == "IN_PROGRESS"
}

// deployments are the service's deployments, and how far the way to the first is.
func deployments(svc Service, d Detail) g.Node {
	return g.Group{
		el("h4", txt("Deployments")),
		stage(d),
		el("div", at("class", "scroll"), el("table",
			el("thead", el("tr", g.Map([]string{"Status", "Revision", "Rollout", "Tasks", "Failed", "Image", "Since"}, func(s string) g.Node { return el("th", at("scope", "col"), txt(s)) }))),
			el("tbody", g.Map(d.Deployments, func(x Deployment) g.Node { return deployment(svc, x) })),
		)),
		g.Map(d.Deployments, func(x Deployment) g.Node {
			return g.If(x.Reason != "" && x.Rollout != "COMPLETED", el("p", at("class", "reason"), el("b", txt(number(clean(x.Revision))+": ")), txt(clean(x.Reason))))
		}),
	}
}

func deployment(svc Service, x Deployment) g.Node {
	tasks := fmt.Sprintf("%d/%d", x.Running, x.Desired)
	if x.Pending > 0 {
		tasks += fmt.Sprintf(", %d on the way", x.Pending)
	}
	failed := g.Node(txtf("%d", x.Failed))
	if x.Failed > 0 && svc.Threshold > 0 && x.Status == "PRIMARY" {
		failed = g.Group{el("b", at("class", "bad"), txtf("%d", x.Failed)), txtf(" of %d ", svc.Threshold), meter(x.Failed, svc.Threshold)}
	}
	return el("tr", at("id", strings.ReplaceAll(x.ID, "/", "-")),
		el("td", el("b", txt(clean(x.Status)))), el("td", at("class", "mono"), txt(clean(x.Revision))),
		el("td", badge(rolloutTone(x.Rollout), plain(x.Rollout))), el("td", txt(tasks)), el("td", failed),
		el("td", at("class", "mono"), g.Map(x.Digests, func(d string) g.Node { return el("span", at("title", clean(d)), txt(shortDigest(d)+" ")) })),
		el("td", age(x.Created)))
}

// meter is a small bar: so many of a limit.
func meter(n, limit int) g.Node {
	return svg("svg", "class", "meter", "viewBox", "0 0 40 8", "aria-hidden", "true")(
		svg("rect", "class", "track", "width", 40, "height", 8, "rx", 4)(),
		svg("rect", "class", "fill", "width", 40*min(n, limit)/limit, "height", 8, "rx", 4)())
}

// stage is where a deployment by steps is, and how the requests are shared.
func stage(d Detail) g.Node {
	if len(d.Attempts) == 0 {
		return nil
	}
	last := d.Attempts[len(d.Attempts)-1]
	if last.Stage == "" && len(last.Weights) == 0 {
		return nil
	}
	return el("p", at("class", "stage"),
		g.If(last.Stage != "", badge(busy, plain(last.Stage))),
		g.Map(last.Weights, func(w Weight) g.Node {
			return el("span", at("class", "chip"), txtf("%g %% of requests to %s", w.Percent, clean(w.Revision)))
		}))
}

// age is a moment, which the script shows as the time since then.
func age(t time.Time) g.Node {
	if t.IsZero() {
		return nil
	}
	return el("time", at("datetime", t.UTC().Format(time.RFC3339Nano)), hook("age"), at("title", t.UTC().Format(time.DateTime)+" UTC"), txt(clock(t)))
}

// moment is a time of day, which the script shows as the reader's own, with the
// date when it is not of today.
func moment(t time.Time) g.Node {
	return el("time", at("datetime", t.UTC().Format("2006-01-02T15:04:05Z")), hook("clock"), at("title", t.UTC().Format(time.DateTime)+" UTC"), txt(clock(t)))
}
