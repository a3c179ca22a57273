package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
)

// maxLine is the longest LogLine text, in bytes.
const maxLine = 64 << 10

// maxFrame bounds one frame of the log stream; the engine cuts a container's
// output into messages of 16 KiB, so anything near this is not a log stream.
const maxFrame = 16 << 20

// LogLine is a line that a container wrote.
type LogLine struct {
	At     time.Time // the engine's clock; when the line began
	Stream string    // "stdout" or "stderr"
	Text   string    // without the line feed
}

// Logs hands on what the container has written, in order, and with follow what
// it writes until it ends or is removed. A line longer than 64 KiB comes in
// several pieces.
func (e *Engine) Logs(ctx context.Context, id string, follow bool, line func(LogLine)) error {
	_, err := e.logs(ctx, id, container.LogsOptions{Follow: follow}, line)
	return err
}

// FollowLogs is Logs of what was written after a moment, and returns when the last
// of it was: the moment to go on from when the container is started again.
func (e *Engine) FollowLogs(ctx context.Context, id string, after time.Time, line func(LogLine)) (last time.Time, err error) {
	o := container.LogsOptions{Follow: true}
	if !after.IsZero() {
		o.Since = after.Add(time.Nanosecond).Format(time.RFC3339Nano)
	}
	if last, err = e.logs(ctx, id, o, line); last.IsZero() {
		last = after
	}
	return last, err
}

func (e *Engine) logs(ctx context.Context, id string, o container.LogsOptions, line func(LogLine)) (last time.Time, err error) {
	d, follow := newDemuxer(line), o.Follow
	err = e.readLogs(ctx, id, d, o)
	if follow && err == nil && ctx.Err() == nil {
		// A follower of engine 20.10 loses an unfinished last line in one of two
		// runs (measured), so the end is read once more.
		o.Follow = false
		if !d.last.IsZero() {
			o.Since = d.last.Format(time.RFC3339Nano)
		}
		d.resume()
		if err = e.readLogs(ctx, id, d, o); errors.Is(err, ErrNotFound) {
			err = nil
		}
	}
	d.flush()
	return d.last, err
}

func (e *Engine) readLogs(ctx context.Context, id string, d *demuxer, o container.LogsOptions) error {
	o.ShowStdout, o.ShowStderr, o.Timestamps = true, true, true
	op := "read logs of container " + short(id)
	body, err := e.c.ContainerLogs(ctx, id, o)
	if err != nil {
		return e.wrap(op, err)
	}
	defer body.Close()
	if err := d.read(body); err != nil {
		return e.streamError(ctx, op, err)
	}
	return nil
}

// demuxer reads the engine's multiplexed log stream: frames of an 8 byte header
// (stream, 3 zeros, big endian size) and one message each, which is a
// timestamp, a space and a piece of a line (API reference, "Attach to a
// container", stream format). The client library's decoder loses the borders
// of messages, and with them the timestamps inside of long lines.
type demuxer struct {
	streams map[byte]*joiner
	last    time.Time // stamp of the newest message
	same    int       // how many messages have that stamp
	since   time.Time // after resume: messages before it were seen,
	skip    int       // and so many at it
}

func newDemuxer(line func(LogLine)) *demuxer {
	return &demuxer{streams: map[byte]*joiner{1: {stream: "stdout", line: line}, 2: {stream: "stderr", line: line}}}
}

// resume prepares for reading a stream of which a part has been read.
func (d *demuxer) resume() { d.since, d.skip = d.last, d.same }

func (d *demuxer) flush() {
	d.streams[1].flush()
	d.streams[2].flush()
}

// read reads the stream. That of a container with a terminal has no frames; its
// lines begin with their timestamps.
func (d *demuxer) read(body io.Reader) error {
	r := bufio.NewReader(body)
	const form = "2006-01-02T"
	if first, err := r.Peek(len(form)); err == nil && first[4] == form[4] && first[10] == form[10] {
		return d.readTerminal(r)
	}
	var head [8]byte
	for {
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a frame: %w", err)
		}
		size := binary.BigEndian.Uint32(head[4:])
		if size > maxFrame {
			return fmt.Errorf("read a frame: %d bytes is not a log message", size)
		}
		var frame bytes.Buffer // grows with what really comes
		if _, err := io.CopyN(&frame, r, int64(size)); err != nil {
			return fmt.Errorf("read a frame: %w", err)
		}
		if head[0] == 3 { // the engine's own error, sent in the stream
			return errors.New(strings.TrimSpace(frame.String()))
		}
		if j := d.streams[head[0]]; j != nil {
			d.message(j, frame.String())
		}
	}
}

func (d *demuxer) readTerminal(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n') // the engine cuts longer ones, too, when it writes them down
		if len(line) > 0 {
			text := string(line)
			if whole, ok := strings.CutSuffix(text, "\r\n"); ok {
				text = whole + "\n"
			}
			d.message(d.streams[1], text)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("read a line: %w", err)
		}
	}
}

func (d *demuxer) message(j *joiner, text string) {
	var at time.Time
	if stamp, rest, ok := strings.Cut(text, " "); ok {
		if t, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			at, text = t, rest
		}
	}
	switch {
	case at.Before(d.since):
		return
	case d.skip > 0 && at.Equal(d.since):
		d.skip--
		return
	case at.Equal(d.last):
		d.same++
	case at.After(d.last):
		d.last, d.same = at, 1
	}
	j.add(at, text)
}

// joiner puts the pieces of a stream's long lines together again.
type joiner struct {
	stream string
	line   func(LogLine)
	at     time.Time
	text   strings.Builder
	open   bool
}

func (j *joiner) add(at time.Time, rest string) {
	if !j.open {
		j.at, j.open = at, true
	}
	whole := strings.HasSuffix(rest, "\n")
	rest = strings.TrimSuffix(rest, "\n")
	for j.text.Len()+len(rest) > maxLine {
		n := maxLine - j.text.Len()
		j.text.WriteString(rest[:n])
		rest = rest[n:]
		j.flush()
		j.at, j.open = at, true
	}
	j.text.WriteString(rest)
	if whole {
		j.flush()
	}
}

func (j *joiner) flush() {
	if !j.open {
		return
	}
	j.line(LogLine{At: j.at, Stream: j.stream, Text: j.text.String()})
	j.text.Reset()
	j.open = false
}
