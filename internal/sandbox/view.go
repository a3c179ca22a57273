package sandbox

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/page"
)

// view is the sandbox as its page sees it.
type view struct {
	*Server
	instance string
}

var _ page.View = view{}

func (v view) Place() page.Place {
	return page.Place{
		Instance: v.instance, Account: v.cfg.Account, Region: v.cfg.Region,
		Address: v.URL(), Speed: v.cfg.Speed, Env: v.Env(),
	}
}

func (v view) Clusters() []page.Cluster {
	var all []page.Cluster
	for _, c := range v.cluster.Look() {
		p := page.Cluster{Name: c.Name}
		for _, s := range c.Services {
			p.Services = append(p.Services, viewSummary(c.Name, s))
		}
		if c.Loose > 0 {
			v.cluster.Inspect(c.Name, "", func(i cluster.Inspection) { p.Loose = viewTasks(i.Tasks) })
		}
		all = append(all, p)
	}
	return all
}

func viewSummary(cluster string, s cluster.ServiceSummary) page.Service {
	p := page.Service{
		Cluster: cluster, Name: s.Name, Status: s.Status, Revision: s.Revision, Rollout: s.Rollout,
		Back:    strings.HasPrefix(s.Current, "ROLLBACK_") && (strings.HasSuffix(s.Current, "_REQUESTED") || strings.HasSuffix(s.Current, "_IN_PROGRESS")),
		Desired: s.Desired, Running: s.Running, Pending: s.Pending, Failed: s.Failed, Threshold: s.Threshold, Strategy: s.Strategy,
	}
	for _, t := range s.Tasks {
		p.Dots = append(p.Dots, page.DotOf(t.Revision, t.Status, t.Health, t.Checked))
	}
	return p
}

func (v view) Service(clusterName, name string) (page.Detail, bool) {
	var d page.Detail
	found := v.cluster.Inspect(clusterName, name, func(i cluster.Inspection) { d = viewDetail(i) })
	return d, found
}

func (v view) Repositories() []page.Repository {
	var all []page.Repository
	for _, r := range v.registry.Look() {
		p := page.Repository{Name: r.Name, Immutable: r.Immutable}
		for _, i := range r.Images {
			p.Images = append(p.Images, page.Image{Digest: i.Digest, Tags: i.Tags, Size: i.Size, Pushed: i.Pushed})
		}
		all = append(all, p)
	}
	return all
}

func (v view) Calls(most int) []page.Call {
	entries := v.calls.Latest(most)
	calls := make([]page.Call, 0, len(entries))
	for _, e := range entries {
		calls = append(calls, page.Call{
			At: e.Time, Service: e.Service, Operation: e.Operation, Error: e.Error, Status: e.Status,
			Took: time.Duration(e.Millis) * time.Millisecond,
		})
	}
	return calls
}

func (v view) Faults() []page.Fault {
	var all []page.Fault
	for _, r := range v.faults.List() {
		all = append(all, page.Fault{ID: r.ID, Rule: ruleText(r.Rule), Acted: r.Acted, Times: r.Times})
	}
	return all
}

// ruleText is a rule as one would post it.
func ruleText(r fault.Rule) string {
	r.ID = ""
	b, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// str is the string behind a pointer, "" for none.
func str(s *string) string { return aws.ToString(s) }

// lastOf is the last part of an ARN.
func lastOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
