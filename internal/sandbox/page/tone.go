package page

// tone is how something is going. It is said in a word as well, never by colour
// alone.
type tone string

const (
	good  tone = "good"
	busy  tone = "busy"
	bad   tone = "bad"
	warn  tone = "warn"
	quiet tone = "quiet"
)

// state says in a word how a service is.
func (s Service) state() (tone, string) {
	switch {
	case s.Status != "ACTIVE":
		return quiet, plain(s.Status)
	case s.Back:
		return warn, "rolling back"
	case s.Rollout == "FAILED":
		return bad, "failed"
	case s.Rollout == "IN_PROGRESS" && s.Failed > 0:
		return bad, "failing"
	case s.Rollout == "IN_PROGRESS":
		return busy, "deploying"
	case s.Failed > 0:
		return bad, "tasks fail"
	case s.Running < s.Desired:
		return warn, "short of tasks"
	case s.Rollout == "":
		return quiet, "not deployed by ECS"
	}
	return good, "steady"
}

// DotOf is the dot of a task that is meant to run.
func DotOf(revision, status, health string, checked bool) Dot {
	t := Task{Status: status, Health: health, Live: true, Containers: []Container{{Checked: checked}}}
	return Dot{Tone: t.tone(), Revision: revision}
}

// tone is the colour of a task.
func (t Task) tone() tone {
	switch {
	case t.Failed, t.Live && t.Health == "UNHEALTHY":
		return bad
	case !t.Live:
		return quiet
	case t.Status == "RUNNING" && (t.Health == "HEALTHY" || !t.checked()):
		return good
	}
	return busy
}

// checked says whether a container of the task has a health check.
func (t Task) checked() bool {
	for _, c := range t.Containers {
		if c.Checked {
			return true
		}
	}
	return false
}

func rolloutTone(rollout string) tone {
	switch rollout {
	case "COMPLETED":
		return good
	case "FAILED":
		return bad
	case "IN_PROGRESS":
		return busy
	}
	return quiet
}

func callTone(c Call) tone {
	switch {
	case c.Error != "" || c.Status >= 400:
		return bad
	case c.Status == 0:
		return busy
	}
	return quiet
}
