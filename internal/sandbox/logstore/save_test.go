package logstore

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/snapshot"
)

func TestStore_everyFieldIsKeptOrNamed(t *testing.T) {
	notKept := map[string]string{"account": "is given", "region": "is given", "now": "is code", "onAppend": "is code", "mu": "is no state"}
	k := reflect.TypeFor[kept]()
	for f := range reflect.TypeFor[Store]().Fields() {
		_, saved := k.FieldByName(f.Name)
		if _, named := notKept[f.Name]; saved == named {
			t.Errorf("Store.%s has to be in kept (save.go), or in notKept with the reason", f.Name)
		}
	}
	if err := snapshot.Check(k); err != nil {
		t.Error(err)
	}
}

func TestStore_Save_keepsTheNewestOfEachStream(t *testing.T) {
	s := New("000000000000", "us-east-1", nil)
	if err := s.CreateGroup("g"); err != nil {
		t.Fatal(err)
	}
	days := int32(7)
	s.groups["g"].retention = &days
	at := time.UnixMilli(1_000_000)
	for i := range keptEvents + 10 {
		s.Append("g", "many", at.Add(time.Duration(i)*time.Millisecond), fmt.Sprint("line ", i))
	}
	for i := range 4 {
		s.Append("g", "large", at, strings.Repeat(fmt.Sprint(i), maxMessage))
	}
	s.CreateStream("g", "empty")
	raw, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := New("000000000000", "us-east-1", nil)
	if err := again.Load(raw); err != nil {
		t.Fatal(err)
	}
	g := again.groups["g"]
	if g == nil || *g.retention != 7 || len(g.streams) != 3 {
		t.Fatalf("the group is %+v", g)
	}
	many := g.streams["many"]
	if len(many.events) != keptEvents || many.events[0].message != "line 10" || many.next != int64(keptEvents+10) {
		t.Errorf("%d events are kept from %q on, the next is %d", len(many.events), many.events[0].message, many.next)
	}
	if large := g.streams["large"]; len(large.events) != 2 || large.bytes != 2*maxMessage || large.events[1].message[0] != '3' {
		t.Errorf("%d large events of %d bytes are kept", len(large.events), large.bytes)
	}
	again.Append("g", "many", at.Add(time.Hour), "after the restart")
	if n := len(many.events); many.events[n-1].message != "after the restart" {
		t.Errorf("the newest event is %q", many.events[n-1].message)
	}
	if err := again.Load([]byte(`{"@id":1,"other":{}}`)); err == nil {
		t.Error("Load takes what it does not know")
	}
}

func TestWithin_dropsTheStreamsThatWereWrittenToFirst(t *testing.T) {
	one := func(at int64) *stream {
		return &stream{name: fmt.Sprint(at), events: []event{{position: position{at: at}, message: "0123456789"}}}
	}
	all := []*stream{one(1), one(3), one(2)}
	within(all, 20)
	for _, st := range all {
		if kept := len(st.events) == 1; kept != (st.name != "1") || kept != (st.bytes == 10) {
			t.Errorf("stream %s keeps %d events of %d bytes", st.name, len(st.events), st.bytes)
		}
	}
}
