package history

import (
	"cmp"
	"slices"
)

// Begun says whether an attempt is the one that the run named on its revision
// began: the first one of the revision since that run looked. Later ones are
// somebody else's, who deployed the revision again.
func (l Ledger) Begun(a Attempt) bool {
	t := l.Tags[a.TaskDefinition]
	if t.Run == "" || t.CopyOf != "" {
		return false
	}
	own, ok := l.begun(a.TaskDefinition, t.After)
	return ok && own.ARN == a.ARN
}

// begun is the oldest attempt of a revision that is newer than the one named
// after. One that ECS has forgotten leaves nobody's attempts but later ones.
func (l Ledger) begun(arn, after string) (Attempt, bool) {
	end := len(l.Attempts)
	if after != "" {
		if end = slices.IndexFunc(l.Attempts, func(a Attempt) bool { return Short(a.ARN) == after }); end < 0 {
			return Attempt{}, false
		}
	}
	for _, a := range slices.Backward(l.Attempts[:end]) {
		if a.TaskDefinition == arn {
			return a, true
		}
	}
	return Attempt{}, false
}

// Unconcluded says whether the newest deployment of a revision is that of a run of
// ours which did not live to record how it ended. While ECS shows no deployment of
// that run, the tags are believed: it may be about to (Deployed).
func (l Ledger) Unconcluded(arn string) bool {
	t := l.Tags[arn]
	if t.Run == "" || t.CopyOf != "" || t.Outcome.Run == t.Run {
		return false
	}
	for _, a := range l.Attempts { // newest first
		if a.TaskDefinition == arn {
			return l.Begun(a) || !l.Deployed(arn)
		}
	}
	return true
}

// Deployed says whether ECS shows the deployment of the run that is named on a
// revision.
func (l Ledger) Deployed(arn string) bool {
	_, ok := l.begun(arn, l.Tags[arn].After)
	return ok
}

// refuted is the failure code that the run which began an attempt recorded of it;
// empty when there is none.
func (l Ledger) refuted(a Attempt) string {
	if t := l.Tags[a.TaskDefinition]; t.Outcome.Kind == Failed && t.Outcome.Run == t.Run && l.Begun(a) {
		return cmp.Or(t.Code, string(Failed))
	}
	return ""
}

// Failure is the code with which the run that began an attempt recorded that it
// failed, whatever ECS calls it; empty when there is none.
func (l Ledger) Failure(a Attempt) string {
	if code := l.refuted(a); code != "" {
		return code
	}
	if t := l.Tags[a.TaskDefinition]; t.Outcome.Run == t.Run && l.Begun(a) {
		return t.Outcome.Ended
	}
	return ""
}

// Backstop is a circuit breaker setting that a release left to be restored, and
// the revision that carries it. The newest release of ours speaks: it took over
// what earlier ones had left. Without a history nobody knows which one that is.
func (l Ledger) Backstop() (arn, value string) {
	for _, a := range l.Attempts {
		if l.Begun(a) {
			return a.TaskDefinition, l.Tags[a.TaskDefinition].Backstop
		}
	}
	return "", ""
}
