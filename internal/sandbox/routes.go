package sandbox

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/sandbox/alarms"
	"github.com/weelo/weelo-deploy/internal/sandbox/control"
	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/objects"
	"github.com/weelo/weelo-deploy/internal/sandbox/page"
)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/_sandbox/", fault.Handler(s.faults, s.calls))
	mux.Handle("/_sandbox/hooks", s.hooks.Handler(!s.cfg.UnsafeListen))
	mux.HandleFunc("GET /_sandbox/status", s.status)
	mux.HandleFunc("GET /_sandbox/traffic", s.traffic)
	mux.HandleFunc("POST /_sandbox/lifecycle", s.applyLifecycle)
	mux.HandleFunc("POST /_sandbox/findings", s.setFindings)
	people := page.New(view{s, page.NewInstance()}, hand{s}, s.closing)
	for _, pattern := range page.Patterns {
		mux.Handle(pattern, people)
	}
	mux.Handle("/v2/", s.logged(s.registry.Handler()))
	mux.HandleFunc("POST /{$}", s.call)
	mux.Handle("POST /service/"+alarms.Service+"/operation/{operation}", s.cloudwatch)
	s3 := s.objects.Handler(s.api.Do)
	mux.Handle("GET /{$}", s.greet(people, s3))
	mux.Handle("/", s3) // by path
	return s.balanced(guarded(s.noted(s.skewed(mux)), s.cfg))
}

// balanced sends what is addressed to a load balancer there. That is traffic of
// an application, which has rules of its own about the pages that may ask it.
func (s *Server) balanced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := s.balancer.Handler(r.Host); h != nil {
			h.ServeHTTP(newSender(w), r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// noted tells the state of every request that may have changed something.
func (s *Server) noted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			defer s.state.touch() // also when the connection is cut
		}
		next.ServeHTTP(w, r)
	})
}

// call answers an API call.
func (s *Server) call(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case target == "" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		s.query.ServeHTTP(w, r)
	case strings.HasPrefix(target, alarms.Service+"."):
		s.cloudwatch.ServeHTTP(w, r)
	default:
		s.api.ServeHTTP(w, r)
	}
}

// hasOperation says whether an operation is here, in any service for "".
func (s *Server) hasOperation(service, operation string) bool {
	for name, operations := range s.operations() {
		if (service == "" || service == name) && slices.Contains(operations, operation) {
			return true
		}
	}
	return false
}

func (s *Server) operations() map[string][]string {
	all := s.query.Operations()
	all["s3"], all["cloudwatch"] = s.objects.Operations(), s.cloudwatch.Operations()
	for _, name := range []string{"ecs", "ecr", "logs", "codebuild", "ssm", "secretsmanager"} {
		all[name] = s.api.Service(name).Operations()
	}
	return all
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	control.Answer(w, http.StatusOK, map[string]any{
		"account": s.cfg.Account, "region": s.cfg.Region, "speed": s.cfg.Speed, "throttle": s.cfg.Throttle,
		"registry": s.Registry(), "operations": s.operations(), "loadBalancers": s.balancer.Status(),
	})
}

// traffic counts what went through the load balancers.
func (s *Server) traffic(w http.ResponseWriter, _ *http.Request) {
	control.Answer(w, http.StatusOK, s.balancer.Traffic())
}

// greet shows the page to browsers, and says to others where it is.
func (s *Server) greet(page, s3 http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			page.ServeHTTP(w, r)
			return
		}
		if objects.Wants(r) { // ListBuckets
			s3.ServeHTTP(w, r)
			return
		}
		fmt.Fprintf(w, "weelo-deploy sandbox of AWS, account %s, region %s.\nOpen %s in a browser, or see /_sandbox/status.\n", s.cfg.Account, s.cfg.Region, s.URL())
	})
}

// logged notes the registry's writes in the log of calls, as service "registry".
func (s *Server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		end := s.calls.Begin("registry", registryOperation(r))
		noted := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(noted, r)
		end(noted.status, "")
	})
}

// registryOperation names a write: "PUT manifests", "PATCH blobs".
func registryOperation(r *http.Request) string {
	if strings.Contains(r.URL.Path, "/manifests/") {
		return r.Method + " manifests"
	}
	return r.Method + " blobs"
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// guarded keeps web pages out, and gives up clients that stall. The configuration says
// who may ask.
func guarded(next http.Handler, cfg Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r.Host, cfg) || !sameOrigin(r) {
			http.Error(w, "The sandbox answers to local programs only.", http.StatusForbidden)
			return
		}
		// What clients have stored here is nothing for a browser to carry out: it
		// would pass for the sandbox's own page.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		body, answer := newPatient(r.Body, w), newSender(w)
		r.Body = body
		defer func() { // for what the server itself reads and sends at the end
			body.leave()
			answer.wait()
		}()
		next.ServeHTTP(answer, r)
	})
}

// aroundDocker is what containers call this machine, where Docker says so.
const aroundDocker = "host.docker.internal"

// local says whether a Host header names this machine; with UnsafeListen any address
// does. A page that points a name of its own at an address here, to get past the
// browser's rules, never does. Docker's name is nobody's own where containers do not
// reach us: somebody else in the network may say what it means there.
func local(hostport string, cfg Config) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return cfg.UnsafeListen || ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == aroundDocker && (cfg.UnsafeListen || cfg.EngineHost == aroundDocker)
}

// sameOrigin refuses what a page of another site had a browser send.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || origin == "http://"+r.Host
}
