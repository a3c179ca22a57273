package awsquery

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	Key   string
	Value *int
}

type shape struct {
	Name  string `json:"name"`
	On    *bool
	Ratio float64
	At    time.Time
	List  []inner
	None  []string `json:"None,omitzero"`
	Empty []string
}

func TestAFormIsReadAndAnAnswerWritten(t *testing.T) {
	form, err := url.ParseQuery("Action=X&name=a%26b&On=false&Ratio=1.5&At=2026-11-25T01:02:03Z" +
		"&List.member.1.Key=k&List.member.1.Value=7&List.member.2.Key=l&List.member.4.Key=gap&Empty=&Unknown.member.1=x")
	if err != nil {
		t.Fatal(err)
	}
	var got shape
	if err := Unmarshal(form, &got); err != nil {
		t.Fatal(err)
	}
	want := shape{
		Name: "a&b", On: new(bool), Ratio: 1.5, At: time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC),
		List: []inner{{"k", new(7)}, {"l", nil}}, Empty: []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	const answer = `<OpResponse xmlns="urn:x"><OpResult><name>a&amp;b</name><On>false</On><Ratio>1.5</Ratio>` +
		`<At>2026-11-25T01:02:03.000Z</At><List><member><Key>k</Key><Value>7</Value></member><member><Key>l</Key></member></List>` +
		`<Empty></Empty></OpResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></OpResponse>`
	if diff := cmp.Diff(answer, string(Marshal("urn:x", "Op", "id", &got))); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoNumberIsRefused(t *testing.T) {
	var got shape
	if err := Unmarshal(url.Values{"List.member.1.Value": {"many"}}, &got); err == nil {
		t.Error("read a word as a number")
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add("name=a&List.member.1.Key=k&List.member.1.Value=7")
	f.Add("List=&At=x&......=1")
	f.Fuzz(func(t *testing.T, form string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		var got shape
		if Unmarshal(values, &got) == nil {
			Marshal("urn:x", "Op", "id", &got)
		}
	})
}
