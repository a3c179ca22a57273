// Package sandbox is AWS on loopback: ECS, ECR with a real registry, CloudWatch
// Logs, STS and IAM's simulator behind one listener, with tasks run by a [task.Runtime]. It is for
// rehearsals and for tests, and any AWS client can use it.
//
// [Start] makes one. Everything is told apart by the request:
//
//	POST / with X-Amz-Target     ECS, ECR and CloudWatch Logs (AWS JSON 1.1)
//	POST / with a form           STS, IAM, Elastic Load Balancing, CloudWatch (Query protocol, XML answers)
//	POST /service/…/operation/…  CloudWatch (CBOR)
//	/v2/                         the registry
//	any, to NAME.elb.localhost   a load balancer, see package balancer
//	/_sandbox/faults, …/calls    control, see package fault
//	/_sandbox/hooks              what Lambda functions answer, see package hooks
//	/_sandbox/status             what this is, for people and scripts
//	GET / and /_sandbox/events   what goes on in it, for a browser; see package page
//
// The packages below do the work: awsjson speaks the protocol, registry, logstore
// and cluster hold the services, fault breaks them on request, seed reads the
// file that gives them a past. None of them shares code with the rest of the
// tool, so that a misunderstanding of AWS is not made twice alike.
//
// It binds to loopback addresses only, unless [Config.UnsafeListen], and refuses
// requests that a web page of another site had a browser send.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/alarms"
	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/awsquery"
	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
	"github.com/weelo/weelo-deploy/internal/sandbox/builds"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/hooks"
	"github.com/weelo/weelo-deploy/internal/sandbox/logstore"
	"github.com/weelo/weelo-deploy/internal/sandbox/mishap"
	"github.com/weelo/weelo-deploy/internal/sandbox/objects"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
	"github.com/weelo/weelo-deploy/internal/sandbox/secrets"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/throttle"
)

// settle is how old a task is at the least when a load balancer first checks it,
// whatever the speed: one that dies at once must not have been healthy.
const settle = 250 * time.Millisecond

// Server is a running sandbox. Start makes one, Close ends it.
type Server struct {
	cfg        Config
	registry   *registry.Store
	logs       *logstore.Store
	cluster    *cluster.Cluster
	balancer   *balancer.Balancer
	objects    *objects.Store
	secrets    *secrets.Store
	builds     *builds.Store
	alarms     *alarms.Store
	cloudwatch *alarms.API
	faults     *fault.Set
	hooks      *hooks.Store
	calls      *fault.Log
	api        *awsjson.Mux
	query      *awsquery.Mux
	state      *keeper

	listener net.Listener
	http     *http.Server
	served   chan struct{} // closed when the listener is done
	closing  chan struct{} // closed when Close begins

	closeOnce sync.Once
	closeErr  error
}

// Start starts a sandbox, writes the seed into it and returns when it answers
// and what the seed says is running runs. ctx ends the start, not the sandbox.
//
// Errors to tell apart: [ErrPortTaken], [ErrNotLoopback], [ErrNoAddress], [*ConfigError],
// [FaultMistakes] and those of a state.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Runtime == nil {
		return nil, errors.New("a sandbox needs a runtime")
	}
	state, err := openState(&cfg)
	if err != nil {
		return nil, errors.Join(err, closeRuntime(cfg.Runtime))
	}
	s, err := open(cfg.withDefaults(), state)
	if err != nil {
		return nil, errors.Join(err, closeRuntime(cfg.Runtime), state.close())
	}
	go s.serve()
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// begin lets what is to be there be there: the state's or the seed's.
func (s *Server) begin(ctx context.Context) error {
	first := s.plant
	if s.Resumed() {
		first = s.cluster.Resume
	}
	if err := first(ctx); err != nil {
		return err
	}
	if err := s.plantFaults(); err != nil {
		return err
	}
	return s.state.begin()
}

// open makes all parts; nothing serves yet.
func open(cfg Config, state *keeper) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	listener, err := state.listenAt(cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, state: state, listener: listener, served: make(chan struct{}), closing: make(chan struct{}),
		logs: logstore.New(cfg.Account, cfg.Region, cfg.Now), calls: fault.NewLog(cfg.Now),
		alarms:  alarms.New(cfg.Account, cfg.Region, cfg.Now),
		objects: objects.New(cfg.Region, state.objects(cfg), state != nil), secrets: secrets.New(cfg.Account, cfg.Region, cfg.Now),
	}
	if s.registry, err = state.openRegistry(s); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.faults = fault.NewSet(s.registry, s.hasOperation, s.closing)
	s.hooks = hooks.New(cfg.Now)
	s.balancer = balancer.New(balancer.Config{
		Account: cfg.Account, Region: cfg.Region, Speed: cfg.Speed, Now: cfg.Now, Logger: cfg.Logger, Changed: s.targetsChanged,
		TasksOnly: cfg.UnsafeListen, Settle: settle,
	})
	s.cluster = cluster.New(cluster.Config{
		Account: cfg.Account, Region: cfg.Region, Speed: cfg.Speed, Now: cfg.Now,
		Runtime: mishap.Wrap(cfg.Runtime, s.faults), Images: s.images(), Logs: s.logs, Secrets: s.secrets, Objects: s.objects,
		Alarms: s.alarms, Hooks: s.hooks, Isolated: cfg.Isolated, BreakerIgnoresCrashes: cfg.BreakerIgnoresCrashes, Changed: state.touch, Capacity: s.faults,
		Traffic: balance{s.balancer}, Balancer: balance{s.balancer},
	})
	s.logs.OnAppend(state.touch)
	s.faults.Alarms = s.alarms
	s.faults.OnHost(s.cluster.LoseHost)
	s.faults.OnChange(s.cluster.Retry)
	s.builds = builds.New(builds.Config{Account: cfg.Account, Region: cfg.Region, Now: cfg.Now, Logs: s.logs, Objects: s.objects, Env: s.buildEnv})
	s.mount()
	if err := state.load(s); err != nil {
		s.cluster.Stop()
		_ = s.balancer.Close() // the state is what is wrong
		return nil, errors.Join(err, listener.Close(), s.registry.Close())
	}
	return s, nil
}

// mount puts the services behind the faults and the log of calls.
func (s *Server) mount() {
	s.api = &awsjson.Mux{}
	s.api.Add("ecs", s.cluster.API())
	s.api.Add("ecr", s.registry.ECR(s.Registry))
	s.api.Add("logs", s.logs.API())
	s.api.Add("codebuild", s.builds.API())
	s.api.Add("ssm", s.secrets.SSM())
	s.api.Add("secretsmanager", s.secrets.SecretsManager())
	s.cloudwatch = s.alarms.API(s.api.Do)
	do := awsjson.Interceptor(s.faults.Intercept)
	if s.cfg.Throttle {
		do = throttle.New(s.cfg.Region).Intercept(do)
	}
	s.api.Intercept = s.calls.Intercept(do)
	s.query = &awsquery.Mux{
		Do:     s.api.Do,
		Others: map[string]func(context.Context, string, []byte) awsjson.Answer{alarms.QueryVersion: s.cloudwatch.Query},
	}
	s.query.Add("sts", s.sts())
	s.query.Add("iam", s.iam())
	s.query.Add("elasticloadbalancing", s.balancer.API())
	s.http = newHTTP(s.routes(), s.cfg.Logger)
}

// gate asks the faults whether a client may push or pull.
func (s *Server) gate(a registry.Action, repository string) error {
	verdict := ""
	switch a {
	case registry.Push:
		verdict = s.faults.Push(repository)
	case registry.Pull:
		verdict = s.faults.Pull(repository)
	}
	switch verdict {
	case fault.Denied:
		return registry.ErrDenied
	case fault.NoSpace:
		return registry.ErrNoSpace
	case fault.Unavailable:
		return registry.ErrUnavailable
	}
	return nil
}

func (s *Server) serve() {
	defer close(s.served)
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		s.cfg.Logger.Error("sandbox stopped serving", "error", err)
	}
}

// URL is where clients send API calls: AWS_ENDPOINT_URL.
func (s *Server) URL() string { return "http://" + s.address() }

// Registry is the address of the registry for the engine.
func (s *Server) Registry() string {
	if s.cfg.EngineHost == "" {
		return s.address()
	}
	_, port, _ := net.SplitHostPort(s.address()) // it is a listener's
	return net.JoinHostPort(s.cfg.EngineHost, port)
}

// address is the sandbox's for this machine, 127.0.0.1:PORT also when it listens on
// all addresses.
func (s *Server) address() string {
	at := s.listener.Addr().String()
	if host, port, err := net.SplitHostPort(at); err == nil && host == "0.0.0.0" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return at
}

// Open is the address at which other machines reach the sandbox, empty when it
// listens on loopback.
func (s *Server) Open() string {
	if at, ok := s.listener.Addr().(*net.TCPAddr); ok && at.IP.IsLoopback() {
		return ""
	}
	return s.listener.Addr().String()
}

// Credentials are the registry's user name and password.
func (s *Server) Credentials() (user, password string) { return s.registry.Credentials() }

// Account is whose the sandbox is.
func (s *Server) Account() string { return s.cfg.Account }

// Region is as in ARNs.
func (s *Server) Region() string { return s.cfg.Region }

// Resumed says that the sandbox goes on from a state, and did not begin with the
// seed.
func (s *Server) Resumed() bool { return s.state != nil && s.state.resumed }

// Images is the registry's store, for making repositories and images without a
// client.
func (s *Server) Images() *registry.Store { return s.registry }

// Logs is the log store.
func (s *Server) Logs() *logstore.Store { return s.logs }

// Alarms is CloudWatch's alarms.
func (s *Server) Alarms() *alarms.Store { return s.alarms }

// Cluster is the ECS control plane, for writing services down without a client.
func (s *Server) Cluster() *cluster.Cluster { return s.cluster }

// Balancer is Elastic Load Balancing, for making load balancers without a client
// and for counting traffic.
func (s *Server) Balancer() *balancer.Balancer { return s.balancer }

// Env is what a client's environment needs to use the sandbox, and only it:
// NAME=value.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL(),
		"AWS_ACCESS_KEY_ID=" + accessKey,
		"AWS_SECRET_ACCESS_KEY=sandbox",
		"AWS_REGION=" + s.cfg.Region,
		"AWS_DEFAULT_REGION=" + s.cfg.Region,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// buildEnv is the environment of a build's commands: this machine's programs and
// engine, and this sandbox for AWS.
func (s *Server) buildEnv() []string {
	env := s.Env()
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "DOCKER_HOST", "DOCKER_CONFIG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Secrets is the store of parameters and secrets.
func (s *Server) Secrets() *secrets.Store { return s.secrets }

// Objects is the S3 store.
func (s *Server) Objects() *objects.Store { return s.objects }

// Bounds of ending.
const (
	drainTime   = time.Second      // for answers under way
	runtimeTime = 60 * time.Second // for tasks
)

// Close ends all tasks and stops serving. It leaves nothing behind but Dir and
// State, and may be called more than once.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.builds.Close()
		s.closeErr = errors.Join(s.stopServing(), s.state.end(), s.stopTasks(), s.balancer.Close(), s.registry.Close(), s.objects.Close(), s.state.close())
	})
	return s.closeErr
}

func (s *Server) stopServing() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close() // a client that keeps its connection is cut off
	}
	<-s.served
	return err
}

func (s *Server) stopTasks() error {
	ctx, cancel := context.WithTimeout(context.Background(), runtimeTime)
	defer cancel()
	if err := s.cluster.Close(ctx); err != nil {
		return fmt.Errorf("end tasks: %w", err)
	}
	return nil
}

func closeRuntime(r task.Runtime) error {
	ctx, cancel := context.WithTimeout(context.Background(), runtimeTime)
	defer cancel()
	return r.Close(ctx)
}
