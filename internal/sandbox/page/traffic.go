package page

import (
	"fmt"
	"strings"

	g "maragu.dev/gomponents"
)

// traffic is a picture of the requests through each load balancer.
func traffic(list []Balancer) g.Node {
	if len(list) == 0 {
		return nil
	}
	return el("section", at("class", "card"), el("h2", txt("Traffic")), g.Map(list, balancer))
}

// noTraffic says how to come to a load balancer.
func noTraffic() g.Node {
	return el("section", at("class", "card"), el("h2", txt("Traffic")), empty(
		"No load balancer yet. The requests through one are drawn here by target group and revision. A service takes part with --load-balancers targetGroupArn=…,containerName=…,containerPort=…",
		"aws elbv2 create-load-balancer --name web --subnets subnet-1 subnet-2",
		"aws elbv2 create-target-group --name web --protocol HTTP --port 8080 --vpc-id vpc-1 --target-type ip",
		"aws elbv2 create-listener --load-balancer-arn … --protocol HTTP --port 80 --default-actions Type=forward,TargetGroupArn=…"))
}

func balancer(b Balancer) g.Node {
	return el("div", at("class", "balancer"),
		el("h4", txt(clean(b.Name)), g.If(b.Address != "", el("a", at("href", b.Address), at("target", "_blank"), at("rel", "noopener noreferrer"), txt(b.Address)))),
		el("div", at("class", "chart"), chart(b), el("span", at("class", "most"), txtf("%d/s", most(b)))),
		el("ul", at("class", "legend"), g.Group(legend(b))))
}

// chart has a bar for every second: the groups' requests on one another, and the
// failures of all on top.
func chart(b Balancer) g.Node {
	const width, height = 600.0, 100.0
	scale := height / float64(max(most(b), 4))
	step := width / mostSeconds
	paths := make([]strings.Builder, len(b.Groups)+1)
	bar := func(p *strings.Builder, i int, from, n int) {
		if n > 0 {
			fmt.Fprintf(p, "M%.1f %.1fh%.1fv-%.1fh-%.1fz", float64(i)*step, height-float64(from)*scale, step-1.5, float64(n)*scale, step-1.5)
		}
	}
	for i := range mostSeconds {
		from, failed := 0, 0
		for k, x := range b.Groups {
			s := x.second(i)
			bar(&paths[k], i, from, s.Good)
			from, failed = from+s.Good, failed+s.Failed
		}
		bar(&paths[len(b.Groups)], i, from, failed)
	}
	var drawn []g.Node
	for k := range paths {
		class := "failed"
		if k < len(b.Groups) && !b.Groups[k].Untaken {
			class = "g" + fmt.Sprint(b.Groups[k].Colour)
		}
		if paths[k].Len() > 0 {
			drawn = append(drawn, svg("path", "class", class, "d", paths[k].String())())
		}
	}
	return svg("svg", "class", "bars", "viewBox", "0 0 600 100", "preserveAspectRatio", "none", "role", "img", "aria-label", told(b))(g.Group(drawn))
}

// second is the i-th of the last sixty.
func (x Group) second(i int) Second {
	i -= mostSeconds - len(x.Seconds)
	if i < 0 {
		return Second{}
	}
	return x.Seconds[i]
}

// most is the most requests in a second.
func most(b Balancer) int {
	n := 0
	for i := range mostSeconds {
		sum := 0
		for _, x := range b.Groups {
			sum += x.second(i).Good + x.second(i).Failed
		}
		n = max(n, sum)
	}
	return n
}

// sums are a group's requests of the last minute.
func (x Group) sums() (ok, failed int) {
	for i := range mostSeconds {
		ok, failed = ok+x.second(i).Good, failed+x.second(i).Failed
	}
	return ok, failed
}

// told is the picture in words.
func told(b Balancer) string {
	var words []string
	for _, x := range b.Groups {
		ok, failed := x.sums()
		if x.Untaken {
			words = append(words, fmt.Sprintf("%s: no target took %s in the last minute", clean(x.Name), count(failed, "request", "requests")))
			continue
		}
		words = append(words, fmt.Sprintf("%s: %s answered and %d failed in the last minute", clean(x.Name), count(ok, "request", "requests"), failed))
	}
	return strings.Join(words, "; ")
}

func legend(b Balancer) []g.Node {
	var keys []g.Node
	red := el("i", at("class", "key failed"), at("aria-hidden", "true"))
	for _, x := range b.Groups {
		ok, failed := x.sums()
		name := el("b", txt(clean(x.Name)))
		if x.Untaken {
			keys = append(keys, el("li", red, name, el("span", at("class", "bad"), txtf("no target took them: %d", failed))))
			continue
		}
		keys = append(keys, el("li",
			el("i", at("class", fmt.Sprint("key g", x.Colour)), at("aria-hidden", "true")), name,
			g.If(x.Revision != "", el("span", at("class", "revision"), txt(clean(x.Revision)))),
			el("span", at("class", "soft"), txt(x.standing()+", "+count(ok, "request", "requests")+"/min")),
			g.If(failed > 0, g.Group{red, el("span", at("class", "bad"), txt(count(failed, "failure", "failures")))})))
	}
	return keys
}

// standing is a group's share of the requests, and how its targets are.
func (x Group) standing() string {
	text := fmt.Sprintf("%d of %d healthy", x.Healthy, x.Targets)
	if x.Shared {
		text = fmt.Sprintf("weight %d, ", x.Weight) + text
	}
	if x.Draining > 0 {
		text += fmt.Sprintf(", %d draining", x.Draining)
	}
	return text
}
