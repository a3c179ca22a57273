package logstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// Bounds of one answer (GetLogEvents and FilterLogEvents API references).
const (
	maxAnswerEvents = 10_000
	maxAnswerBytes  = 1 << 20
	eventOverhead   = 26 // bytes that each event counts beyond its message
	maxBatch        = 10_000
	maxPage         = 50
)

func (s *Store) putLogEvents(_ context.Context, in *cwl.PutLogEventsInput) (*cwl.PutLogEventsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.open(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	st, err := g.find(in.LogStreamName)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.LogEvents); err != nil {
		return nil, err
	}
	for _, e := range in.LogEvents {
		st.add(*e.Timestamp, s.now(), *e.Message)
	}
	return &cwl.PutLogEventsOutput{NextSequenceToken: new(sequenceToken(st))}, nil
}

func checkBatch(events []types.InputLogEvent) error {
	if len(events) == 0 || len(events) > maxBatch {
		return invalid("1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length between 1 and %d", maxBatch)
	}
	for i, e := range events {
		if e.Timestamp == nil || e.Message == nil || *e.Timestamp < 0 {
			return invalid("1 validation error detected: Value at 'logEvents.%d.member' failed to satisfy constraint: timestamp and message must be given", i+1)
		}
		if i > 0 && *e.Timestamp < *events[i-1].Timestamp {
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	return nil
}

// getLogEvents reads a stream in pages. The tokens of a page name its first and
// last event, so that a reader that follows never sees one twice. At the end the
// forward token is the one that was sent.
func (s *Store) getLogEvents(_ context.Context, in *cwl.GetLogEventsInput) (*cwl.GetLogEventsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.open(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	st, err := g.find(in.LogStreamName)
	if err != nil {
		return nil, err
	}
	limit, err := answerLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	from := cursor{forward: in.StartFromHead != nil && *in.StartFromHead}
	if in.NextToken != nil {
		if from, err = parseCursor(*in.NextToken); err != nil {
			return nil, err
		}
	}
	shown := from.page(between(st.events, in.StartTime, in.EndTime), limit)
	out := &cwl.GetLogEventsOutput{Events: []types.OutputLogEvent{}}
	for _, e := range shown {
		out.Events = append(out.Events, types.OutputLogEvent{
			Timestamp: new(e.at), Message: new(e.message), IngestionTime: new(e.ingested.UnixMilli())})
	}
	first, last := from.at, from.at
	if len(shown) > 0 {
		first, last = shown[0].position, shown[len(shown)-1].position
	}
	out.NextForwardToken = new(cursor{forward: true, set: true, at: last}.String())
	out.NextBackwardToken = new(cursor{set: true, at: first}.String())
	return out, nil
}

func answerLimit(limit *int32) (int, error) {
	if limit == nil {
		return maxAnswerEvents, nil
	}
	if *limit < 1 || *limit > maxAnswerEvents {
		return 0, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", *limit, maxAnswerEvents)
	}
	return int(*limit), nil
}

// between keeps the events from start up to, but not including, end.
func between(events []event, start, end *int64) []event {
	if start != nil {
		i, _ := slices.BinarySearchFunc(events, position{at: *start}, func(e event, p position) int { return e.compare(p) })
		events = events[i:]
	}
	if end != nil {
		i, _ := slices.BinarySearchFunc(events, position{at: *end}, func(e event, p position) int { return e.compare(p) })
		events = events[:i]
	}
	return events
}

// cursor is a place between two events of a stream and a direction to read on.
type cursor struct {
	forward bool
	set     bool // at is meant: forward after it, backward before it
	at      position
}

func (c cursor) String() string {
	direction := "b"
	if c.forward {
		direction = "f"
	}
	return fmt.Sprintf("%s/%020d%018d/s", direction, c.at.at, c.at.number)
}

func parseCursor(token string) (cursor, error) {
	c := cursor{set: true}
	direction, rest, _ := strings.Cut(token, "/")
	c.forward = direction == "f"
	n, err := fmt.Sscanf(rest, "%20d%18d/s", &c.at.at, &c.at.number)
	if n != 2 || err != nil || !c.forward && direction != "b" {
		return cursor{}, invalid("The specified nextToken is invalid.")
	}
	return c, nil
}

// page takes up to limit events in the cursor's direction, in order of time.
func (c cursor) page(events []event, limit int) []event {
	if c.set {
		i, found := slices.BinarySearchFunc(events, c.at, func(e event, p position) int { return e.compare(p) })
		switch {
		case c.forward && found:
			events = events[i+1:]
		case c.forward:
			events = events[i:]
		default:
			events = events[:i]
		}
	}
	size := 0
	for i := range events {
		e := events[i]
		if !c.forward {
			e = events[len(events)-1-i]
		}
		size += len(e.message) + eventOverhead
		if i == limit || i > 0 && size > maxAnswerBytes {
			if c.forward {
				return events[:i]
			}
			return events[len(events)-i:]
		}
	}
	return events
}

// page cuts a list of unique keys after the one that the token names. Unlike
// ECR's, these lists may be in falling order, so the key itself is looked for.
func page(keys []string, token *string, limit *int32) ([]string, *string, error) {
	n := maxPage
	if limit != nil {
		if *limit < 1 || *limit > maxPage {
			return nil, nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", *limit, maxPage)
		}
		n = int(*limit)
	}
	if token != nil {
		last, err := base64.RawURLEncoding.DecodeString(*token)
		i := slices.Index(keys, string(last))
		if err != nil || i < 0 {
			return nil, nil, invalid("The specified nextToken is invalid.")
		}
		keys = keys[i+1:]
	}
	if len(keys) <= n {
		return keys, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(keys[n-1]))
	return keys[:n], &next, nil
}
