package engine

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// Attach connects to the standard input and output of a container, which was made
// with OpenStdin and without TTY. Read gives what it writes to its standard output;
// Close leaves it running.
func (e *Engine) Attach(ctx context.Context, id string) (io.ReadWriteCloser, error) {
	r, err := e.c.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true})
	if err != nil {
		return nil, e.wrap("attach to container "+short(id), err)
	}
	out, in := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(in, io.Discard, r.Reader)
		if err == nil {
			err = io.EOF
		}
		in.CloseWithError(err) // always nil
	}()
	return &attached{conn: r.Conn, out: out}, nil
}

type attached struct {
	conn net.Conn
	out  *io.PipeReader
}

func (a *attached) Read(b []byte) (int, error) { return a.out.Read(b) }

func (a *attached) Write(b []byte) (int, error) { return a.conn.Write(b) }

func (a *attached) Close() error {
	_ = a.out.Close() // always nil
	return a.conn.Close()
}

// statsTime bounds a look at a container's statistics.
const statsTime = 30 * time.Second

// Stats is what the engine says of a container's use of memory, CPU and network at
// this moment, as JSON of its API.
func (e *Engine) Stats(ctx context.Context, id string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statsTime)
	defer cancel()
	r, err := e.c.ContainerStatsOneShot(ctx, id)
	if err != nil {
		return nil, e.wrap("statistics of container "+short(id), err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read statistics of container %s: %w", short(id), err)
	}
	return body, nil
}
