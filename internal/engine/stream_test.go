package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReadPush(t *testing.T) {
	for _, c := range []struct {
		name, stream, digest, err string
	}{
		{"the digest comes from aux", `{"status":"The push refers to repository [r]"}
			{"status":"Pushed","progressDetail":{},"id":"aa"}
			{"status":"v1: digest: sha256:11 size: 527"}
			{"progressDetail":{},"aux":{"Tag":"v1","Digest":"sha256:11","Size":527}}`, "sha256:11", ""},
		{"an error object is an error", `{"status":"Preparing","id":"aa"}
			{"errorDetail":{"message":"unauthorized: authentication required"},"error":"unauthorized: authentication required"}`, "", "unauthorized: authentication required"},
		{"an error after the digest is an error", `{"aux":{"Digest":"sha256:11"}}{"error":"late"}`, "", "late"},
		{"an answer with neither", `{"status":"fine"}`, "", "neither a digest nor an error"},
		{"an empty answer", ``, "", "neither a digest nor an error"},
		{"an answer that is cut off", `{"aux":{"Digest":"sha256:11"}}{"status":"Pu`, "", "unexpected EOF"},
		{"an aux of another kind is no digest", `{"aux":{"contentMissing":true,"desc":{"digest":"sha256:22"}}}`, "", "neither"},
	} {
		t.Run(c.name, func(t *testing.T) {
			digest, err := readPush(strings.NewReader(c.stream), nil)
			if c.err == "" && (err != nil || digest != c.digest) {
				t.Errorf("readPush = %q, %v; want %q", digest, err, c.digest)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("readPush = %q, %v; want an error with %q", digest, err, c.err)
			}
		})
	}
}

func TestReadPush_Progress(t *testing.T) {
	var got []PushProgress
	_, err := readPush(strings.NewReader(`{"status":"Pushing","id":"aa","progressDetail":{"current":5,"total":9}}{"aux":{"Digest":"sha256:1"}}`),
		func(p PushProgress) { got = append(got, p) })
	if want := (PushProgress{"aa", "Pushing", 5, 9}); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("progress = %v, %v; want %v", got, err, want)
	}
}

func TestStreamError_Code(t *testing.T) {
	_, err := readPush(strings.NewReader(`{"errorDetail":{"code":403,"message":"denied"}}`), nil)
	var s *StreamError
	if !errors.As(err, &s) || s.Code != 403 || s.Message != "denied" {
		t.Errorf("readPush = %#v, want a StreamError 403", err)
	}
}

func TestAuth_HidesThePassword(t *testing.T) {
	a := Auth{Username: "AWS", Password: "s3cret", Server: "h"}
	for _, s := range []string{a.String(), a.GoString()} {
		if strings.Contains(s, "s3cret") {
			t.Errorf("Auth prints %q", s)
		}
	}
}

// frame is a message in the log stream.
func frame(stream byte, text string) []byte {
	b := append([]byte{stream, 0, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(len(text)))...)
	return append(b, text...)
}

func stamp(n int) string {
	return time.Date(2026, 1, 1, 0, 0, 0, n, time.UTC).Format("2006-01-02T15:04:05.000000000Z07:00") + " "
}

func TestDemuxer(t *testing.T) {
	var got []LogLine
	d := newDemuxer(func(l LogLine) { got = append(got, l) })
	in := bytes.Join([][]byte{
		frame(1, stamp(1)+"begin "), frame(2, stamp(2)+"other\n"), frame(1, stamp(3)+"end\n"), frame(1, stamp(3)+"\n"), frame(2, stamp(4)+"open"),
	}, nil)
	if err := d.read(bytes.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	// Read again from the last stamp on: what was seen is left out, what is new
	// continues the open line.
	d.resume()
	again := bytes.Join([][]byte{frame(1, stamp(3)+"late\n"), frame(2, stamp(4)+"open"), frame(2, stamp(4)+" end\n"), frame(1, stamp(5)+"new")}, nil)
	if err := d.read(bytes.NewReader(again)); err != nil {
		t.Fatal(err)
	}
	d.flush()
	want := []string{"stderr other", "stdout begin end", "stdout ", "stderr open end", "stdout new"}
	if len(got) != len(want) {
		t.Fatalf("lines = %v, want %v", got, want)
	}
	for i, l := range got {
		if l.Stream+" "+l.Text != want[i] || l.At.IsZero() {
			t.Errorf("line %d = %+v, want %s", i, l, want[i])
		}
	}
	if got[1].At.Nanosecond() != 1 {
		t.Errorf("a joined line is of %v, want its beginning", got[1].At)
	}
}

func TestDemuxer_ReadsATerminalsLines(t *testing.T) {
	var got []string
	d := newDemuxer(func(l LogLine) { got = append(got, l.Stream+" "+l.Text) })
	long := strings.Repeat("x", 20_000)
	if err := d.read(strings.NewReader(stamp(1) + "one\r\n" + stamp(2) + long + "\r\n" + stamp(3) + "open")); err != nil {
		t.Fatal(err)
	}
	d.flush()
	if want := []string{"stdout one", "stdout " + long, "stdout open"}; !slices.Equal(got, want) {
		t.Errorf("lines = %.60q, want %.60q", got, want)
	}
}

func TestDemuxer_Refuses(t *testing.T) {
	for name, in := range map[string]string{
		"a cut header":            "\x01\x00\x00",
		"a cut message":           "\x01\x00\x00\x00\x00\x00\x00\x09abc",
		"a size that cannot be":   "\x01\x00\x00\x00\xff\xff\xff\xff",
		"an error of the engine":  string(frame(3, "driver failed")),
		"text that is no stream ": "404 page not found",
	} {
		if err := newDemuxer(func(LogLine) {}).read(strings.NewReader(in)); err == nil {
			t.Errorf("read %s: no error", name)
		}
	}
}

func FuzzDemuxer(f *testing.F) {
	f.Add(frame(1, stamp(1)+"a\n"))
	f.Add(append(frame(2, stamp(1)+strings.Repeat("x", 70000)), frame(1, "no stamp\n")...))
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		d := newDemuxer(func(l LogLine) {
			n += len(l.Text)
			if len(l.Text) > maxLine {
				t.Errorf("a line of %d bytes", len(l.Text))
			}
		})
		_ = d.read(bytes.NewReader(in))
		d.flush()
		if n > len(in) {
			t.Errorf("%d bytes of text from %d bytes of stream", n, len(in))
		}
	})
}

func FuzzReadPush(f *testing.F) {
	f.Add(`{"aux":{"Digest":"sha256:11"}}`)
	f.Add(`{"errorDetail":{"message":"x"}}`)
	f.Fuzz(func(t *testing.T, in string) {
		digest, err := readPush(strings.NewReader(in), func(PushProgress) {})
		if err == nil && digest == "" {
			t.Error("neither digest nor error")
		}
	})
}
