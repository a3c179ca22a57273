package dockerruntime

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// note remembers what a container is called in the engine.
func (t *running) note(container, id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ids[container] = id
}

// stats is what the engine says of a container's use of resources.
func (t *running) stats(container string) ([]byte, error) {
	t.mu.Lock()
	id := t.ids[container]
	t.mu.Unlock()
	if id == "" {
		return nil, fmt.Errorf("container %s has not started", container)
	}
	return t.rt.engine.Stats(t.rt.ctx, id)
}

// largestRequest bounds what the pause container hands over at once; see
// tinyelf.Relay.
const largestRequest = 1 << 16

// relay answers the requests that containers of the task make to the metadata
// endpoint. The pause container listens for them inside of the task's network
// namespace and hands them over by its standard streams, so that nothing of this
// machine can be reached through it: a task without any network has it too, and so
// has one on an engine that is somewhere else.
func (t *running) relay(pause io.ReadWriteCloser) {
	defer pause.Close()
	in := bufio.NewReader(pause)
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return // the task has ended
		}
		size := binary.LittleEndian.Uint32(head[:])
		if size > largestRequest {
			return
		}
		request := make([]byte, size)
		if _, err := io.ReadFull(in, request); err != nil {
			return
		}
		answer := t.answer(request)
		frame := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(answer)), uint32(len(answer)))
		if _, err := pause.Write(append(frame, answer...)); err != nil {
			return
		}
	}
}

// answer is the HTTP answer to an HTTP request.
func (t *running) answer(request []byte) []byte {
	status, body := http.StatusBadRequest, []byte("Bad Request\n")
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	switch {
	case err != nil:
	case r.Method != http.MethodGet:
		status, body = http.StatusMethodNotAllowed, []byte("Method Not Allowed\n")
	default:
		status, body = t.spec.Metadata(r.URL.Path, t.stats)
	}
	var out bytes.Buffer
	out.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) +
		"\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
	out.Write(body)
	return out.Bytes()
}
