package logstore

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// pattern is a filter pattern for unstructured events: every term must be in
// the message, none of those with a minus, and one of those with a question
// mark (CloudWatch Logs User Guide, "Filter pattern syntax").
type pattern struct {
	all, any, none []string
}

// parsePattern refuses patterns for JSON and space-delimited events by name,
// rather than matching them wrongly.
func parsePattern(text string) (pattern, error) {
	var p pattern
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "%") {
		return p, invalid("Invalid filter pattern: only patterns of terms are available here, not %q", text)
	}
	for text != "" {
		into := &p.all
		switch text[0] {
		case '-':
			into, text = &p.none, text[1:]
		case '?':
			into, text = &p.any, text[1:]
		}
		term, rest, err := nextTerm(text)
		if err != nil {
			return p, err
		}
		*into = append(*into, term)
		text = strings.TrimLeft(rest, " ")
	}
	return p, nil
}

// nextTerm splits a word, or a phrase in quotes, off the text.
func nextTerm(text string) (term, rest string, err error) {
	if phrase, ok := strings.CutPrefix(text, `"`); ok {
		term, rest, ok = strings.Cut(phrase, `"`)
		if !ok {
			return "", "", invalid("Invalid filter pattern: a quote is not closed")
		}
		return term, rest, nil
	}
	term, rest, _ = strings.Cut(text, " ")
	if term == "" {
		return "", "", invalid("Invalid filter pattern: a term is missing")
	}
	return term, rest, nil
}

func (p pattern) matches(message string) bool {
	in := func(term string) bool { return strings.Contains(message, term) }
	if slices.ContainsFunc(p.none, in) || len(p.any) > 0 && len(p.all) == 0 && !slices.ContainsFunc(p.any, in) {
		return false
	}
	return !slices.ContainsFunc(p.all, func(term string) bool { return !in(term) })
}

// found is an event with its stream, of a search over several.
type found struct {
	stream string
	event
}

// compare orders events by time, and those of one millisecond by stream.
func (f found) compare(g found) int {
	return cmp.Or(cmp.Compare(f.at, g.at), cmp.Compare(f.stream, g.stream), cmp.Compare(f.number, g.number))
}

// token names the event as the last of a page.
func (f found) token() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d %s", f.at, f.number, f.stream))
}

func parseToken(token string) (found, error) {
	var f found
	text, err := base64.RawURLEncoding.DecodeString(token)
	parts := strings.SplitN(string(text), " ", 3)
	if err != nil || len(parts) != 3 {
		return f, invalid("The specified nextToken is invalid.")
	}
	at, err1 := strconv.ParseInt(parts[0], 10, 64)
	number, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err1 != nil || err2 != nil {
		return f, invalid("The specified nextToken is invalid.")
	}
	return found{parts[2], event{position: position{at, number}}}, nil
}

func (s *Store) filterLogEvents(_ context.Context, in *cwl.FilterLogEventsInput) (*cwl.FilterLogEventsOutput, error) {
	if in.LogStreamNames != nil && in.LogStreamNamePrefix != nil {
		return nil, invalid("Cannot specify both logStreamNames and logStreamNamePrefix.")
	}
	text := ""
	if in.FilterPattern != nil {
		text = *in.FilterPattern
	}
	p, err := parsePattern(text)
	if err != nil {
		return nil, err
	}
	limit, err := answerLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.open(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	all, err := g.search(in, p)
	if err != nil {
		return nil, err
	}
	return answerSearch(all, in.NextToken, limit)
}

// search finds the matching events of the streams that the request names, in
// order of time.
func (g *group) search(in *cwl.FilterLogEventsInput, p pattern) ([]found, error) {
	for i := range in.LogStreamNames {
		if _, err := g.find(&in.LogStreamNames[i]); err != nil {
			return nil, err
		}
	}
	var all []found
	for name, st := range g.streams {
		if in.LogStreamNames != nil && !slices.Contains(in.LogStreamNames, name) ||
			in.LogStreamNamePrefix != nil && !strings.HasPrefix(name, *in.LogStreamNamePrefix) {
			continue
		}
		for _, e := range between(st.events, in.StartTime, in.EndTime) {
			if p.matches(e.message) {
				all = append(all, found{name, e})
			}
		}
	}
	slices.SortFunc(all, found.compare)
	return all, nil
}

// answerSearch takes the page after the event that the token names.
func answerSearch(all []found, token *string, limit int) (*cwl.FilterLogEventsOutput, error) {
	if token != nil {
		last, err := parseToken(*token)
		if err != nil {
			return nil, err
		}
		i, there := slices.BinarySearchFunc(all, last, found.compare)
		if there {
			i++
		}
		all = all[i:]
	}
	out := &cwl.FilterLogEventsOutput{Events: []types.FilteredLogEvent{}, SearchedLogStreams: []types.SearchedLogStream{}}
	size := 0
	for i, f := range all {
		size += len(f.message) + eventOverhead
		if i == limit || i > 0 && size > maxAnswerBytes {
			out.NextToken = new(all[i-1].token())
			break
		}
		out.Events = append(out.Events, types.FilteredLogEvent{
			EventId: new(fmt.Sprintf("%038d%018d", f.at, f.number)), LogStreamName: new(f.stream),
			Timestamp: new(f.at), Message: new(f.message), IngestionTime: new(f.ingested.UnixMilli())})
	}
	return out, nil
}
