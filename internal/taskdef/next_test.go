package taskdef

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

const pinned = "318774499084.dkr.ecr.ap-south-1.amazonaws.com/weelo-backend@sha256:1111111111111111111111111111111111111111111111111111111111111111"

func TestNext_changesOnlyTheImage(t *testing.T) {
	base := parse(t, revision27)
	n := next(t, base, Change{Image: pinned})
	want := strings.Replace(revision27, "318774499084.dkr.ecr.ap-south-1.amazonaws.com/weelo-backend:v1.0.8", pinned, 1)
	var w, g map[string]any
	for raw, into := range map[string]*map[string]any{want: &w, string(n.Raw()): &g} {
		dec := json.NewDecoder(strings.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range readOnly {
		if _, ok := g[m]; ok {
			t.Errorf("the next revision keeps the read-only member %s", m)
		}
		delete(w, m)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("next revision (-want +got):\n%s", diff)
	}
	if n.Revision() != 0 || n.ARN() != "" || n.Name() != "weelobackendtask" {
		t.Errorf("Name() = %q, ARN() = %q; want those of what is not registered", n.Name(), n.ARN())
	}
	for _, s := range []string{`3.0e1`, `1.50`, `1e400`, `{"name":"EMPTY","value":""}`} {
		if !strings.Contains(string(n.Raw()), s) {
			t.Errorf("the next revision lost the spelling %s", s)
		}
	}
}

func TestNext_unchangedKeepsBytes(t *testing.T) {
	base := parse(t, revision27)
	n := next(t, base, Change{Image: "318774499084.dkr.ecr.ap-south-1.amazonaws.com/weelo-backend:v1.0.8"})
	b, _ := parseObject(base.raw)
	g, _ := parseObject(n.raw)
	if got, want := string(g.get("containerDefinitions")), string(b.get("containerDefinitions")); got != want {
		t.Errorf("containerDefinitions = %s, want %s", got, want)
	}
	if !Equal(base, n) {
		t.Errorf("Equal() = false; Diff: %q", Diff(base, n))
	}
}

func TestNext_environmentAndSecrets(t *testing.T) {
	n := next(t, parse(t, revision27), Change{
		Environment: map[string]string{"NODE_ENV": "staging", "DATABASE_URL": "postgres://x", "B": "2", "A": "1"},
		Secrets:     map[string]string{"REDIS_URL": "arn:aws:ssm:ap-south-1:318774499084:parameter/redis"},
	})
	o, err := parseObject(n.raw)
	if err != nil {
		t.Fatal(err)
	}
	items, err := parseArray(o.get("containerDefinitions"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseObject(items[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(c.get("environment")), `[{"name":"NODE_ENV","value":"staging"},{"name":"EMPTY","value":""},`+
		`{"name":"A","value":"1"},{"name":"B","value":"2"},{"name":"DATABASE_URL","value":"postgres://x"}]`; got != want {
		t.Errorf("environment = %s\nwant %s", got, want)
	}
	if got, want := string(c.get("secrets")), `[{"name":"REDIS_URL","valueFrom":"arn:aws:ssm:ap-south-1:318774499084:parameter/redis"}]`; got != want {
		t.Errorf("secrets = %s\nwant %s", got, want)
	}
}

func TestNext_addsNoEmptyLists(t *testing.T) {
	base := parse(t, `{"family":"a","containerDefinitions":[{"name":"x","image":"i"}]}`)
	n := next(t, base, Change{Environment: map[string]string{"A": "<&>"}})
	if got, want := string(n.Raw()), `{"family":"a","containerDefinitions":[{"name":"x","image":"i","environment":[{"name":"A","value":"<&>"}]}]}`; got != want {
		t.Errorf("Raw() = %s, want %s", got, want)
	}
}

func TestNext_pinsOtherContainers(t *testing.T) {
	n := next(t, parse(t, revision27), Change{Image: pinned, Pin: map[string]string{"proxy": "envoyproxy/envoy@sha256:22"}})
	if got := n.Containers(); got[0].Image != pinned || got[1].Image != "envoyproxy/envoy@sha256:22" {
		t.Errorf("images = %q, %q", got[0].Image, got[1].Image)
	}
}

func TestNext_refuses(t *testing.T) {
	for name, c := range map[string]struct {
		change Change
		code   event.Code
	}{
		"a container that is not there":     {Change{Container: "worker"}, event.CodeNotFound},
		"a pin of one that is not there":    {Change{Pin: map[string]string{"proxi": "x"}}, event.CodeNotFound},
		"a name that is value and secret":   {Change{Environment: map[string]string{"A": "1"}, Secrets: map[string]string{"A": "arn"}}, event.CodeConfig},
		"a pin without a container's name":  {Change{Pin: map[string]string{"": "x"}}, event.CodeNotFound},
		"a name that is mistyped by a case": {Change{Container: "Weelo-backend"}, event.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, revision27).Next(c.change)
			var f *event.Failure
			if !errors.As(err, &f) || f.Code != c.code {
				t.Errorf("Next(%+v) error = %v, want %s", c.change, err, c.code)
			}
		})
	}
}

func TestNext_carriesTags(t *testing.T) {
	base := parse(t, revision27, Tag{"team", "core"}, Tag{"aws:cloudformation:stack-name", "s"}, Tag{"AWS:x", "s"},
		Tag{"weelo-deploy:run", "r"}, Tag{"weelo-deploy:weelocluster/svc", "proven"}, Tag{"empty", ""})
	n := next(t, base, Change{})
	if diff := cmp.Diff([]Tag{{"empty", ""}, {"team", "core"}}, n.Tags()); diff != "" {
		t.Errorf("Tags() (-want +got):\n%s", diff)
	}
	body, err := n.registration([]Tag{{"weelo-deploy:run", "new"}, {"team", "other"}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := parseObject(body)
	if got, want := string(o.get("tags")), `[{"key":"empty","value":""},{"key":"team","value":"other"},{"key":"weelo-deploy:run","value":"new"}]`; got != want {
		t.Errorf("tags = %s, want %s", got, want)
	}
}

func TestNext_leavesTheBaseAlone(t *testing.T) {
	base := parse(t, revision27, Tag{"team", "core"})
	next(t, base, Change{Image: pinned, Environment: map[string]string{"NODE_ENV": "x"}})
	if string(base.Raw()) != revision27 || base.Containers()[0].Environment["NODE_ENV"] != "production" {
		t.Error("Next changed its base")
	}
}
