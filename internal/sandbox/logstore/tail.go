package logstore

import "time"

// Line is an event of a stream for people.
type Line struct {
	At     time.Time
	Number int64 // tells it from the others of its stream
	Text   string
}

// Tail returns up to n of the latest events of a stream, oldest first; none when
// there is no such stream.
func (s *Store) Tail(groupName, streamName string, n int) []Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[groupName]
	if g == nil || g.streams[streamName] == nil {
		return nil
	}
	events := g.streams[streamName].events
	events = events[max(len(events)-n, 0):]
	lines := make([]Line, 0, len(events))
	for _, e := range events {
		lines = append(lines, Line{At: time.UnixMilli(e.at), Number: e.number, Text: e.message})
	}
	return lines
}
