package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/dockerruntime"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/shellenv"
)

type sandboxFlags struct {
	listen, seed, account, envFile, state, faults string
	speed                                         float64
	throttle                                      bool
	unsafe                                        bool

	given func(flag string) bool // on the command line
}

func newSandboxCommand(a *app) *cobra.Command {
	var f sandboxFlags
	cmd := &cobra.Command{
		Use: "sandbox", Short: "ECS, ECR and CloudWatch Logs on this machine, to practise on", Args: noArgs,
		Long: `sandbox serves ECS, ECR, CloudWatch Logs and STS on loopback, with tasks as real
containers on the local Docker engine, until it is interrupted. --region says
which region it is. When it answers, it prints the environment to export; every AWS client can talk to it then. It
leaves no container, network or image behind.

AWS's waiting times are divided by --speed; what a real process must meet
(stop timeouts, health check timeouts) is not.

With --state everything is kept in a folder: the next sandbox with it goes on
where this one ended, or was killed. The tasks of services are started anew then.`,
		Example: `  weelo-deploy sandbox up            # in the background; sandbox down ends it
  weelo-deploy sandbox --region ap-south-1 --seed examples/incident/stuck.yaml --env-file env &
  until [ -s env ]; do sleep 0.1; done; . ./env; aws ecs list-services --cluster weelocluster
  weelo-deploy sandbox fault '{"when":"UpdateService","error":"AccessDeniedException"}'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed
			return a.runSandbox(cmd.Context(), &f)
		},
	}
	f.add(cmd)
	cmd.AddCommand(newSandboxUpCommand(a), newSandboxServeCommand(a), newSandboxDownCommand(a), newSandboxStatusCommand(a), newSandboxEnvCommand(a),
		newSandboxExecCommand(a), newSandboxFaultCommand(a), newSandboxCleanCommand(a))
	return cmd
}

func (f *sandboxFlags) add(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&f.listen, "listen", sandbox.DefaultListen, "loopback `ADDRESS:PORT`; port 0 takes a free one")
	p.StringVar(&f.seed, "seed", "", "history to begin with, from `FILE`")
	p.StringVar(&f.faults, "faults", "", "faults to begin with, from `FILE` (YAML or JSON; docs/sandbox.md)")
	p.StringVar(&f.account, "account", "000000000000", "account `ID` to be")
	p.StringVar(&f.envFile, "env-file", "", "also write the environment to `FILE`")
	p.StringVar(&f.state, "state", "", "keep everything in `FOLDER` over restarts")
	p.BoolVar(&f.unsafe, "unsafe-listen", false, "let --listen be an address that other machines reach: everybody there can start containers on this one, without a password")
	p.Float64Var(&f.speed, "speed", 20, "divide AWS's waiting times by `N`")
	p.BoolVar(&f.throttle, "throttle", false, "refuse calls that come faster than AWS takes them")
}

func (a *app) runSandbox(ctx context.Context, f *sandboxFlags) error {
	s, err := a.begin("sandbox")
	if err != nil {
		return err
	}
	if err := f.forgetEnvironment(); err != nil {
		return s.refuse(err)
	}
	server, closing, err := a.startSandbox(ctx, f, "weelo-deploy sandbox")
	if err != nil {
		return s.refuse(interruptOr(ctx, err))
	}
	defer a.closeSandbox(closing)
	if err := a.giveEnvironment(f, server.Env()); err != nil {
		return s.refuse(err)
	}
	fmt.Fprintf(a.stderr, "sandbox: listening on %s, speed %g; Ctrl-C ends it and cleans up\n", server.URL(), f.speed)
	a.tellPage(server.URL())
	<-ctx.Done()
	fmt.Fprintln(a.stderr, "sandbox: cleaning up")
	return nil
}

// tellPage says where people see what goes on in a sandbox.
func (a *app) tellPage(url string) {
	fmt.Fprintf(a.stderr, "sandbox: its page is %s\n", sandboxPage(url))
}

// sandboxPage is the address of the page of a sandbox.
func sandboxPage(url string) string { return url + "/" }

// forgetEnvironment removes the file of the last sandbox, which who waits for this
// one's must not read.
func (f *sandboxFlags) forgetEnvironment() error {
	if f.envFile == "" {
		return nil
	}
	if err := os.Remove(f.envFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return event.Fail(event.CodeUsage, "the environment cannot be written").Because(err)
	}
	return nil
}

// giveEnvironment prints what to export, and writes it to the file that was asked
// for.
func (a *app) giveEnvironment(f *sandboxFlags, env []string) error {
	text := shellenv.Script(shellenv.POSIX, env, nil)
	if f.envFile != "" {
		if err := writeAtomically(f.envFile, text); err != nil {
			return event.Fail(event.CodeUsage, "the environment cannot be written").Because(err)
		}
	}
	if _, err := io.WriteString(a.stdout, text); err != nil {
		return fmt.Errorf("write the environment: %w", err)
	}
	return nil
}

// closeSandbox cleans up, and says so when that fails.
func (a *app) closeSandbox(closing func() error) {
	if err := closing(); err != nil {
		fmt.Fprintf(a.stderr, "sandbox: cleaning up: %v\n", err)
	}
}

// startSandbox opens the engine and starts a server on it. closing ends both and
// leaves nothing behind. command is what would start another.
func (a *app) startSandbox(ctx context.Context, f *sandboxFlags, command string) (*sandbox.Server, func() error, error) {
	cfg := sandbox.Config{Listen: f.listen, UnsafeListen: f.unsafe, Account: f.account, Region: a.sandboxRegion(), Speed: f.speed, Throttle: f.throttle}
	a.keepState(&cfg, f)
	cfg.Logger = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	if f.speed <= 0 {
		return nil, nil, event.Fail(event.CodeUsage, fmt.Sprintf("--speed is a number above zero, not %g", f.speed))
	}
	if f.seed != "" {
		sd, err := seed.Load(f.seed)
		if err != nil {
			return nil, nil, seedFailure(err)
		}
		cfg.Seed = sd
	}
	if f.faults != "" {
		rules, err := seed.LoadFaults(f.faults)
		if err != nil {
			return nil, nil, seedFailure(err)
		}
		cfg.Faults = rules
	}
	server, closing, err := startServer(ctx, cfg, func(text string) { fmt.Fprintln(a.stderr, "sandbox: "+text) })
	if err != nil {
		return nil, nil, f.failure(err, command)
	}
	a.tellNotes(server.Open(), f.notes(server))
	return server, closing, nil
}

func (a *app) sandboxRegion() string {
	for _, r := range []string{a.flags.region, a.getenv("AWS_REGION"), a.getenv("AWS_DEFAULT_REGION")} {
		if r != "" {
			return r
		}
	}
	return "us-east-1"
}

func seedFailure(err error) error {
	var fs []error
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			fs = append(fs, event.Fail(event.CodeConfig, e.Error()))
		}
		return errors.Join(fs...)
	}
	return event.Fail(event.CodeConfig, err.Error())
}

// startServer starts a sandbox whose tasks are containers on the local engine. Its
// registry is in the runtime's folder, which goes with it, also after a kill.
func startServer(ctx context.Context, cfg sandbox.Config, warn func(string)) (*sandbox.Server, func() error, error) {
	e, err := openEngine("")
	if err != nil {
		return nil, nil, err
	}
	info, err := e.Info(ctx)
	if err != nil {
		return nil, nil, errors.Join(build.Unavailable(err), e.Close())
	}
	cfg.EngineHost = dockerruntime.HostName(info)
	rt, err := dockerruntime.Open(ctx, e, dockerruntime.Options{})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the sandbox's engine: %w", err), e.Close())
	}
	if cfg.Dir, err = rt.Folder(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a folder for the sandbox: %w", err), rt.Close(ctx), e.Close())
	}
	cfg.Runtime, cfg.PushImage = rt, pusher(e)
	server, err := sandbox.Start(ctx, cfg) // closes the runtime when it fails
	if err != nil {
		return nil, nil, errors.Join(err, e.Close())
	}
	if registry := server.Registry(); !dockerruntime.SpeaksHTTP(info, registry) {
		warn("the engine is " + info.OperatingSystem + ", which may refuse the sandbox's registry: add \"" + registry + "\" to insecure-registries in its settings (Docker Engine); see docs/sandbox.md")
	}
	return server, func() error { return errors.Join(server.Close(), e.Close()) }, nil
}

// listenFailure says what to do about an address that cannot be listened on.
func listenFailure(err error, listen, command string) error {
	free := command + " --listen 127.0.0.1:0"
	var bad *net.AddrError // the address has no port, or too much
	switch {
	case errors.Is(err, sandbox.ErrPortTaken):
		return event.Fail(event.CodePortTaken, "the sandbox cannot listen on "+listen+": the address is taken").
			Hint("another sandbox may be running; choose another port").
			Try(free)
	case errors.Is(err, sandbox.ErrNotLoopback):
		return event.Fail(event.CodeUsage, "the sandbox cannot listen on "+listen+": it is open to everybody who reaches it, and listens on 127.0.0.1 only").
			Hint("--unsafe-listen lets it, where everybody may start containers on this machine").
			Try(free)
	case errors.Is(err, sandbox.ErrNoAddress):
		return event.Fail(event.CodeUsage, "the sandbox cannot listen on "+listen).Because(err).
			Hint("--listen wants an address that this machine has, and a port that you may take").
			Try(free)
	case errors.As(err, &bad):
		return event.Fail(event.CodeUsage, "--listen wants ADDRESS:PORT, not "+listen).
			Try(free)
	}
	return err
}

// pusher pushes images of the local engine into the sandbox's registry, as a
// seed asks for.
func pusher(e *engine.Engine) func(context.Context, sandbox.ImagePush) error {
	return func(ctx context.Context, p sandbox.ImagePush) (err error) {
		if err := e.Tag(ctx, p.From, p.To); errors.Is(err, engine.ErrNotFound) {
			return event.Fail(event.CodeNotFound, "the seed wants the image "+p.From+", which is not in the local engine").
				Hint("build it: weelo-deploy build --name "+p.From+" in the folder of its Dockerfile; that of examples/incident/seed.yaml: weelo-deploy build --config examples/orders/weelo-deploy.yaml --build-arg VERSION=v1.0.8 --name weelo-demo:v1.0.8", "or take a seed that needs no image: examples/incident/stuck.yaml")
		} else if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Untag(context.WithoutCancel(ctx), p.To)) }()
		_, err = e.Push(ctx, p.To, engine.Auth{Username: p.Username, Password: p.Password}, func(engine.PushProgress) {})
		return err
	}
}

// writeAtomically makes sure that who waits for the file never sees half of it.
func writeAtomically(path, text string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = io.WriteString(tmp, text)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

func newSandboxCleanCommand(a *app) *cobra.Command {
	var images []string
	cmd := &cobra.Command{
		Use: "clean", Short: "Remove what killed sandboxes left in the engine", Args: noArgs,
		Example: "  weelo-deploy sandbox clean",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.begin("sandbox clean")
			if err != nil {
				return err
			}
			if err := cleanSandboxes(cmd.Context(), images); err != nil {
				return s.refuse(err)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&images, "image", nil, "also remove this local image `REFERENCE`, may be repeated")
	return cmd
}

func cleanSandboxes(ctx context.Context, images []string) error {
	e, err := openEngine("")
	if err != nil {
		return err
	}
	defer e.Close()
	rt, err := dockerruntime.Open(ctx, e, dockerruntime.Options{}) // opening sweeps
	if err != nil {
		return fmt.Errorf("sweep the engine: %w", err)
	}
	errs := []error{rt.Close(ctx)}
	for _, i := range images {
		errs = append(errs, e.Untag(ctx, i))
	}
	return errors.Join(errs...)
}

// rehearse starts a sandbox in which the cluster, the repository and the service
// of the user's own configuration exist, and turns the release to it. Nothing of
// the real configuration that could reach anything goes in: environment values
// and secrets are placeholders unless --sandbox-env gives them, and the tasks have
// no network outside the sandbox.
func (s *session) rehearse(ctx context.Context, f *releaseFlags, set release.Settings) (*release.Run, func(), error) {
	_, name := splitURI(set.Repository)
	region := s.config.Region
	if region == "" {
		region = "us-east-1"
	}
	account := set.Account
	if account == "" {
		account = "000000000000"
	}
	env, err := s.rehearsalEnvironment(set, f.sandboxEnv)
	if err != nil {
		return nil, nil, err
	}
	sd, err := rehearsalSeed(set, name)
	if err != nil {
		return nil, nil, err
	}
	server, closing, err := startServer(ctx, sandbox.Config{Listen: "127.0.0.1:0", Account: account, Region: region, Speed: 20, Seed: sd, Isolated: true},
		func(text string) { s.out.In("")(event.Note{Level: event.Warn, Text: text}) })
	if err != nil {
		return nil, nil, err
	}
	clients, _, err := openClients(ctx, place{Region: region, Endpoint: server.URL(), On: "docker"})
	if err != nil {
		return nil, nil, errors.Join(err, closing())
	}
	set.BeforeTasks = rehearsalBefore(set.BeforeTasks, env)
	set.Repository, set.Environment, set.Secrets, set.Rehearsal = name, env, nil, true
	s.out.In("")(event.Note{Level: event.Info, Text: "rehearsal: the service " + set.Service + " is a sandbox on this machine; production cannot be reached. Its page while it lasts: " + sandboxPage(server.URL())})
	return release.New(set, clients, s.out, s.app.now), func() { s.app.closeSandbox(closing) }, nil
}
