package release

import (
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
)

// wishes are what was asked of this run and is neither in ECS nor in a
// configuration: they are recorded, so that whoever goes on with it honours them.
func (r *Run) wishes() []string {
	var list []string
	if r.NoRollback || r.NeverRollBack {
		list = append(list, history.WishNoRollback)
	}
	if r.KeepFailed {
		list = append(list, history.WishKeepFailed)
	}
	if r.Given.has("--bake") {
		list = append(list, history.WishBake+"="+r.Bake.String())
	}
	if r.Given.has("--timeout") {
		list = append(list, history.WishTimeout+"="+r.Timeout.String())
	}
	if r.Given.has("--tolerate") { // a tag's value has no percent sign
		list = append(list, history.WishTolerate+"="+strings.Replace(r.Tolerate.String(), "%", "/100", 1))
	}
	return list
}

// honour takes over what was asked of the release that died. watch --rollback asks
// for something else, and a flag of this run goes before the recorded one.
func (r *Run) honour(arn string) {
	t := r.pre.ledger.Tags[arn]
	r.NoRollback = r.NoRollback || t.Wished(history.WishNoRollback) && !r.foreignRollback
	r.KeepFailed = r.KeepFailed || t.Wished(history.WishKeepFailed)
	if d, err := time.ParseDuration(t.Wish(history.WishBake)); err == nil && d >= 0 && !r.Given.has("--bake") {
		r.Bake = d
	}
	if d, err := time.ParseDuration(t.Wish(history.WishTimeout)); err == nil && d > 0 && !r.Given.has("--timeout") {
		r.Timeout = d
	}
	text := strings.Replace(t.Wish(history.WishTolerate), "/100", "%", 1)
	if tolerate, err := health.ParseTolerance(text); err == nil && text != "" && !r.Given.has("--tolerate") {
		r.Tolerate = tolerate
	}
}
