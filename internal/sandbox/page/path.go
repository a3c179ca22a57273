package page

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
)

// stop is a revision on the way that a service has gone.
type stop struct {
	Revision, Word string
	Tone           tone
	Back           bool // the way to it was a rollback
	Now            bool // it is what the service is at
}

// mostStops is how much of the way is drawn.
const mostStops = 9

// way is what the service deployments, oldest first, brought the service to: a
// rollback is a stop of its own, so that 27, 37 and 27 again are three.
func way(attempts []Attempt) []stop {
	var out []stop
	for i, a := range attempts {
		if i == 0 && a.From != "" && a.From != a.Revision {
			out = append(out, stop{Revision: a.From, Word: "before", Tone: quiet})
		}
		out = append(out, a.stop())
		if a.Back == "" {
			continue
		}
		back := stop{Revision: a.Back, Word: "rolled back", Tone: good, Back: true}
		switch a.Status {
		case "ROLLBACK_IN_PROGRESS", "ROLLBACK_REQUESTED":
			back.Word, back.Tone = "rolling back", busy
		case "ROLLBACK_FAILED":
			back.Word, back.Tone = "failed too", bad
		}
		out = append(out, back)
	}
	if len(out) > 0 {
		out[len(out)-1].Now = true
	}
	return out[max(len(out)-mostStops, 0):]
}

// stop is where a service deployment led by itself.
func (a Attempt) stop() stop {
	s := stop{Revision: a.Revision, Word: "deployed", Tone: good}
	switch a.Status {
	case "PENDING", "IN_PROGRESS":
		s.Word, s.Tone = "deploying", busy
		if a.Failures > 0 {
			s.Word, s.Tone = fmt.Sprintf("failing, %d", a.Failures), bad
			if a.Threshold > 0 {
				s.Word += fmt.Sprintf("/%d", a.Threshold)
			}
		}
	case "STOP_REQUESTED", "STOPPED":
		s.Word, s.Tone = "stopped", warn
	case "SUCCESSFUL":
	default:
		s.Word, s.Tone = "failed", bad
		if a.Failures == 0 {
			s.Word = "given up"
		}
	}
	return s
}

// judge tells of a revision whose deployment went well that its tasks do not.
func (s *stop) judge(svc Service, tasks []Task) {
	if s.Tone != good || svc.Running >= svc.Desired {
		return
	}
	s.Word, s.Tone = "short of tasks", warn
	last := slices.IndexFunc(tasks, func(t Task) bool { return t.Revision == s.Revision && t.Status == "STOPPED" })
	if svc.Failed > 0 || last >= 0 && tasks[last].Failed {
		s.Word, s.Tone = "tasks fail", bad
	}
}

// Sizes of the picture, in pixels.
const (
	stopStep, stopLane = 104, 54
	pillWide, pillHigh = 52, 24
	pathEdge, pathTop  = 46, 20
	mostRise           = 2 * stopLane // of all lanes: many are closer to one another
)

// path is the way as a picture: a lane for each revision, newer ones higher.
func path(stops []stop, svc Service, tasks []Task) g.Node {
	if len(stops) < 2 {
		return nil // there is no way yet
	}
	stops[len(stops)-1].judge(svc, tasks)
	lanes := lanesOf(stops)
	lane := min(stopLane, mostRise/max(len(lanes)-1, 1))
	x := func(i int) int { return pathEdge + i*stopStep }
	y := func(i int) int {
		return pathTop + (len(lanes)-1-slices.Index(lanes, stops[i].Revision))*lane
	}
	width, height := x(len(stops)-1)+pathEdge, pathTop+(len(lanes)-1)*lane+38
	var edges, pills []g.Node
	var told []string
	for i, s := range stops {
		if i > 0 {
			edges = append(edges, edge(x(i-1), y(i-1), x(i), y(i), s))
		}
		pills = append(pills, pill(x(i), y(i), s))
		told = append(told, number(clean(s.Revision))+" "+s.Word)
	}
	return el("div", at("class", "reel"), svg("svg", "class", "way", "width", width, "height", height, "viewBox", fmt.Sprintf("0 0 %d %d", width, height),
		"role", "img", "aria-label", "Revisions over time: "+strings.Join(told, ", then "))(g.Group(edges), g.Group(pills)))
}

// lanesOf are the revisions of stops, by family and number.
func lanesOf(stops []stop) []string {
	var lanes []string
	for _, s := range stops {
		if !slices.Contains(lanes, s.Revision) {
			lanes = append(lanes, s.Revision)
		}
	}
	slices.SortFunc(lanes, func(a, b string) int {
		m, _ := strconv.Atoi(number(a)) // what is no number is lowest
		n, _ := strconv.Atoi(number(b))
		if m != n {
			return m - n
		}
		return strings.Compare(a, b)
	})
	return lanes
}

// edge leads from one stop to the next, and says by its form which way.
func edge(x1, y1, x2, y2 int, to stop) g.Node {
	class := "edge " + string(to.Tone)
	if to.Back {
		class += " back"
	}
	from, end := x1+pillWide/2, x2-pillWide/2-5
	middle := (from + end) / 2
	return g.Group{
		svg("path", "class", class, "d", fmt.Sprintf("M%d %d C%d %d %d %d %d %d", from, y1, middle, y1, middle, y2, end, y2))(),
		svg("path", "class", "tip "+string(to.Tone), "d", fmt.Sprintf("M%d %d l-6 -4 v8 z", end+5, y2))(),
	}
}

func pill(x, y int, s stop) g.Node {
	class := "pill " + string(s.Tone)
	if s.Now {
		class += " now"
	}
	return svg("g", "class", class)(
		svg("rect", "x", x-pillWide/2, "y", y-pillHigh/2, "width", pillWide, "height", pillHigh, "rx", pillHigh/2)(),
		svg("text", "x", x, "y", y+4, "text-anchor", "middle")(txt(shortNumber(clean(s.Revision)))),
		svg("text", "class", "word", "x", x, "y", y+27, "text-anchor", "middle")(txt(s.Word)),
		el("title", txt(clean(s.Revision)+", "+s.Word)),
	)
}

// shortNumber is a revision's number as far as it fits a pill.
func shortNumber(revision string) string {
	n := []rune(number(revision))
	if len(n) > 5 {
		return "…" + string(n[len(n)-4:])
	}
	return string(n)
}
