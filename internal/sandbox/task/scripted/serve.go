package scripted

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// served are the servers of one container's ports.
type served struct {
	servers []*http.Server
	all     sync.WaitGroup
}

// serve answers at each TCP port of a container, and returns where. A port that
// cannot be had is one that nothing answers at.
func serve(ports []task.Port, h http.Handler) (*served, []task.Port) {
	s := new(served)
	var bound []task.Port
	for _, p := range ports {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil || p.Protocol == "udp" {
			continue
		}
		srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
		s.servers = append(s.servers, srv)
		s.all.Go(func() { _ = srv.Serve(l) }) // it ends by close
		p.HostIP, p.HostPort = "127.0.0.1", l.Addr().(*net.TCPAddr).Port
		bound = append(bound, p)
	}
	return s, bound
}

// close ends the servers with all that they are doing, as the end of a process does.
func (s *served) close() {
	for _, srv := range s.servers {
		_ = srv.Close() // it is a process that dies
	}
	s.all.Wait()
}
