package snapshot

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/document"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

type level int

type node struct {
	Name string
	next *node
	code *int
	at   time.Time
	wait time.Duration
	how  level
	raw  json.RawMessage
	data []byte
	both [2]bool
	skip chan int `state:"-"`
}

type root struct {
	nodes  map[string]*node
	last   *node
	values map[int]node
	none   []string
	empty  []string
	input  ecs.CreateServiceInput
	tags   []types.Tag
}

func sample() *root {
	one := 1
	a := &node{Name: "a", code: &one, at: time.Date(2026, 11, 1, 12, 0, 0, 5, time.UTC), wait: time.Second, how: 3,
		raw: json.RawMessage(`{ "b":1, "a":2 }`), data: []byte{0, 255}, both: [2]bool{true, false}, skip: make(chan int)}
	b := &node{Name: "b", next: a}
	a.next = b
	family := "web"
	return &root{
		nodes: map[string]*node{"a": a, "b": b}, last: b, values: map[int]node{-2: {Name: "v"}}, empty: []string{},
		input: ecs.CreateServiceInput{ServiceName: &family, LoadBalancers: []types.LoadBalancer{}, DeploymentConfiguration: &types.DeploymentConfiguration{
			LifecycleHooks: []types.DeploymentLifecycleHook{{HookDetails: document.NewLazyDocument(map[string]any{"k": "v"})}}}},
		tags: []types.Tag{{Key: &family}},
	}
}

func TestMarshal_keepsWhatIsThere(t *testing.T) {
	in := sample()
	raw, err := Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out := new(root)
	if err := Unmarshal(raw, out); err != nil {
		t.Fatal(err)
	}
	if out.last != out.nodes["b"] || out.nodes["a"].next != out.last || out.last.next != out.nodes["a"] {
		t.Error("pointers to one thing point at several now")
	}
	if out.none != nil || out.empty == nil || out.input.LoadBalancers == nil || out.input.Tags != nil {
		t.Error("nil and empty lists are not told apart")
	}
	if out.nodes["a"].skip != nil {
		t.Error("what is not to be kept is there")
	}
	if string(out.nodes["a"].raw) != `{ "b":1, "a":2 }` {
		t.Errorf("the raw message has become %s", out.nodes["a"].raw)
	}
	again, err := Marshal(out)
	if err != nil || string(again) != string(raw) {
		t.Errorf("what was read is written as\n%s, %v; want\n%s", again, err, raw)
	}
	hook := out.input.DeploymentConfiguration.LifecycleHooks[0].HookDetails
	if b, err := hook.MarshalSmithyDocument(); err != nil || string(b) != `{"k":"v"}` {
		t.Errorf("the document is %s, %v", b, err)
	}
}

func TestUnmarshal_refusesWhatItWouldLose(t *testing.T) {
	for text, want := range map[string]string{
		`{"@id":1,"last":{"@ref":7}}`:                        "is not there",
		`{"@id":1,"other":1}`:                                `no member "other"`,
		`{"@id":1,"last":{"@ref":1}}`:                        "not a *snapshot.node",
		`{"@id":1,"last":3}`:                                 "does not fit",
		`{"@id":1,"last":{"Name":"x"}}`:                      "@id",
		`{"@id":1,"nodes":{"a":{"@id":2},"b":{"@id":2}}}`:    "twice",
		`{"@id":1,"last":{"@id":2,"both":[true]}}`:           "does not fit",
		`{"@id":1,"values":{"x":null}}`:                      "invalid syntax",
		`{"@id":1`:                                           "EOF",
		`{"@id":1} 2`:                                        "follows",
		`{"@id":1,"last":{"@id":2,"at":"yesterday"}}`:        "yesterday",
		`{"@id":1,"last":{"@id":2,"how":"much"}}`:            "cannot unmarshal",
		`{"@id":1,"input":{"serviceName":{}}}`:               "converted",
		`{"@id":1,"last":{"@id":2,"data":"not in base 64"}}`: "base64",
	} {
		if err := Unmarshal(json.RawMessage(text), new(root)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Unmarshal(%s) = %v, want …%s…", text, err, want)
		}
	}
}

func TestUnmarshal_takesAReferenceBeforeWhatItMeans(t *testing.T) {
	out := new(root)
	if err := Unmarshal(json.RawMessage(`{"@id":1,"nodes":{"a":{"@ref":2},"z":{"@id":3,"next":{"@id":2,"Name":"late"}}}}`), out); err != nil {
		t.Fatal(err)
	}
	if out.nodes["a"].Name != "late" || out.nodes["a"] != out.nodes["z"].next {
		t.Errorf("nodes are %+v", out.nodes)
	}
}

func TestCheck_findsWhatCannotBeKept(t *testing.T) {
	if err := Check(reflect.TypeFor[root]()); err != nil {
		t.Error(err)
	}
	for _, v := range []any{struct{ f func() }{}, struct{ m sync.Mutex }{}, struct{ e error }{}, struct{ m map[bool]int }{}, struct{ p *[]chan int }{}} {
		if Check(reflect.TypeOf(v)) == nil {
			t.Errorf("Check takes %T", v)
		}
		if _, err := Marshal(&v); err == nil {
			t.Errorf("Marshal takes %T", v)
		}
	}
}
