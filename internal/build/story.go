package build

import (
	"regexp"
	"strings"
	"time"

	bkclient "github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/weelo/weelo-deploy/internal/event"
)

const (
	keptLines = 20       // of a step's output, for the failure that may come
	maxLine   = 16 << 10 // bytes; a longer line is cut into pieces
	// worthTelling is how long a step of BuildKit's own must take to be told.
	worthTelling = time.Second
)

// story turns BuildKit's status messages into events. It is used by one
// goroutine at a time.
type story struct {
	emit  event.Emit
	mask  mask
	steps map[digest.Digest]*vertex
	order []*vertex
	warns map[string]bool
	// lies are base images that are not for the platform that they are used for;
	// refuse is called at the first.
	lies   []error
	refuse func(error)
}

// vertex is a step of the build.
type vertex struct {
	name     string
	internal bool // BuildKit's own, not a line of the Dockerfile
	started  *time.Time
	told     event.Status
	err      string
	open     strings.Builder // output since the last line feed
	last     []string
}

func newStory(emit event.Emit, m mask) *story {
	return &story{emit: emit, mask: m, steps: map[digest.Digest]*vertex{}, warns: map[string]bool{}}
}

func (s *story) tell(st *bkclient.SolveStatus) {
	for _, v := range st.Vertexes {
		s.step(v)
	}
	for _, l := range st.Logs {
		if v := s.steps[l.Vertex]; v != nil {
			s.output(v, l.Data)
		}
	}
	for _, w := range st.Warnings {
		if text := s.mask.text(string(w.Short)); !s.warns[text] {
			s.warns[text] = true
			s.warning(text)
		}
	}
}

// lintPlatform is the rule of BuildKit's linter that finds base images whose
// platform is not what was asked for, and lets the build go on (Docker build
// checks, InvalidBaseImagePlatform). The image would claim the platform all the
// same, so here it ends the build.
const lintPlatform = "InvalidBaseImagePlatform"

func (s *story) warning(text string) {
	said, lie := strings.CutPrefix(text, lintPlatform+": ")
	if !lie {
		s.emit(event.Note{Level: event.Warn, Text: "build: " + text})
		return
	}
	err := lyingBase(strings.ToLower(said[:1]) + said[1:])
	s.lies = append(s.lies, err)
	if s.refuse != nil {
		s.refuse(err)
	}
}

// end hands on what steps wrote without a line feed.
func (s *story) end() {
	for _, v := range s.order {
		if v.open.Len() > 0 {
			s.line(v)
		}
	}
}

func (s *story) step(in *bkclient.Vertex) {
	v := s.steps[in.Digest]
	if v == nil {
		v = &vertex{name: s.mask.text(in.Name), internal: strings.HasPrefix(in.Name, "[internal]")}
		s.steps[in.Digest] = v
		s.order = append(s.order, v)
	}
	switch {
	case in.Completed != nil:
		s.finish(v, in)
	case in.Started != nil && (v.started == nil || in.Started.After(*v.started)):
		v.started = in.Started
		if !v.internal {
			v.told = event.Started
			s.emit(event.Build{Step: v.name, Status: event.Started})
		}
	}
}

// importing is how BuildKit names the reading of Request.CacheFrom.
const importing = "importing cache manifest from "

// finish tells the end of a step, once for each time that it ran.
func (s *story) finish(v *vertex, in *bkclient.Vertex) {
	status := event.Done
	switch {
	case strings.Contains(in.Error, "context canceled"):
		status = event.Interrupted
	case in.Error != "":
		status, v.err = event.Failed, s.mask.text(in.Error)
	case in.Cached:
		status = event.Cached
	}
	var took time.Duration
	if in.Started != nil {
		took = in.Completed.Sub(*in.Started)
	}
	if v.told != "" && v.told != event.Started && (status == v.told || status == event.Cached) {
		return
	}
	if v.open.Len() > 0 {
		s.line(v)
	}
	if source, ok := strings.CutPrefix(v.name, importing); ok && status == event.Failed {
		v.told = event.Skipped // no cache is no failure
		s.emit(event.Note{Level: event.Warn, Text: "build cache " + source + " could not be read: " + plain(v.err)})
		return
	}
	v.told = status
	if v.internal && status != event.Failed && took < worthTelling {
		return
	}
	s.emit(event.Build{Step: v.name, Status: status, Seconds: took.Round(time.Millisecond).Seconds(), Error: v.err})
}

// output splits what a step wrote into lines; of a line that was drawn over
// with carriage returns the last state is kept.
func (s *story) output(v *vertex, data []byte) {
	for _, c := range data {
		if c == '\n' || v.open.Len() >= maxLine {
			s.line(v)
		}
		if c != '\n' {
			v.open.WriteByte(c)
		}
	}
}

func (s *story) line(v *vertex) {
	text := strings.TrimRight(v.open.String(), "\r")
	v.open.Reset()
	if i := strings.LastIndexByte(text, '\r'); i >= 0 {
		text = text[i+1:]
	}
	text = s.mask.text(strings.ToValidUTF8(text, "\uFFFD"))
	if len(v.last) == keptLines {
		v.last = v.last[1:]
	}
	v.last = append(v.last, text)
	s.emit(event.Build{Step: v.name, Line: text})
}

// failed is the step that ended the build; nil when it was none of them. Steps
// that were given up because of it are interrupted, not failed.
func (s *story) failed() *vertex {
	for _, v := range s.order {
		if v.told == event.Failed {
			return v
		}
	}
	return nil
}

// numbered matches the name of a Dockerfile's step: "[2/4] …", "[build 2/4] …".
var numbered = regexp.MustCompile(`^\[([^\]]+ )?\d+/\d+\] `)

// count counts the Dockerfile's steps, and those of them that were cached.
func (s *story) count() (steps, cached int) {
	for _, v := range s.order {
		if !numbered.MatchString(v.name) {
			continue
		}
		steps++
		if v.told == event.Cached {
			cached++
		}
	}
	return steps, cached
}
