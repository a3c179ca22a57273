package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/redact"
	"github.com/weelo/weelo-deploy/internal/release"
)

// session is one run of a command that tells a story: where the story goes, and
// the configuration that it was told by.
type session struct {
	app     *app
	command string
	mode    output.Mode
	out     *event.Stream
	screen  *output.Output
	redact  *redact.Redactor
	config  *config.Config
	region  string                // that the clients speak to, once they are open
	beat    func(context.Context) // speaks up in long silences until the context ends

	rehearsal bool // --sandbox: nobody is told how it ended
}

// begin opens the output of a command. From here on the run ends with a result.
func (a *app) begin(command string) (*session, error) {
	red := redact.New(config.SecretVariables(a.environ())...)
	sink, err := output.New(output.Options{
		Mode: a.outputMode(), Stdout: a.stdout, Stderr: a.stderr, Getenv: a.getenv,
		StderrTerminal: a.stderrTerminal, Size: a.size, Redactor: red,
	})
	if err != nil {
		return nil, err
	}
	pulse := &output.Pulse{}
	sinks := []event.Sink{sink, pulse}
	if a.report != "" {
		report, err := output.NewReport(a.report, red)
		if err != nil {
			return nil, err
		}
		report.Failed = func(err error) { output.WriteError(a.stderr, red, err) }
		sinks = append(sinks, report)
	}
	s := &session{app: a, command: command, mode: sink.Mode(), out: event.NewStream(a.now, sinks...), screen: sink, redact: red}
	s.screen.Hint("Ctrl-C: stop", "Ctrl-C: stop watching")
	s.beat = func(ctx context.Context) {
		go pulse.Run(ctx, s.out)
		context.AfterFunc(ctx, func() { s.interrupted(context.Cause(ctx)) })
	}
	return s, nil
}

// interrupted answers a signal at once: what the run makes of it may take a moment.
func (s *session) interrupted(cause error) {
	var i *release.Interrupt
	if errors.As(cause, &i) {
		s.screen.Say(i.Error() + ": bringing the run to an end")
	}
}

func (a *app) outputMode() string {
	if a.flags.json {
		return "json"
	}
	return a.flags.output
}

// refuse ends the session with an error that came before the work began.
func (s *session) refuse(err error) error {
	return s.refuseAs(event.Result{Command: s.command, Stages: []event.StageOutcome{}}, err)
}

// refuseAs ends the session with a result that says what was found until then.
func (s *session) refuseAs(res event.Result, err error) error {
	again := release.Settings{Given: s.app.given(nil)}
	if s.config != nil {
		res.Cluster, res.Service = s.config.Cluster, s.config.Service
		again.Cluster, again.Service, again.Region = res.Cluster, res.Service, cmp.Or(s.region, s.config.Region)
	}
	release.Refuse(&res, "", err)
	again.AgainIn(res.Failure)
	s.out.In("")(res)
	s.tell(res)
	return exit(res.ExitCode)
}

// done turns a result into the command's exit.
func (s *session) done(res event.Result) error {
	s.tell(res)
	if res.ExitCode == event.ExitOK {
		return nil
	}
	return exit(res.ExitCode)
}

// overrides are configuration values that the flags of a command set, by dotted
// key.
type overrides struct {
	values map[string]string
	lists  map[string][]string
	maps   map[string]map[string]string
}

// load reads the configuration with the global flags and those of the command.
func (s *session) load(o overrides) error { return s.read(o, false) }

// read is load, strict or lenient (config.Options).
func (s *session) read(o overrides, lenient bool) error {
	a := s.app
	values := map[string]string{}
	maps.Copy(values, o.values)
	for k, v := range map[string]string{"region": a.flags.region, "cluster": a.flags.cluster, "service": a.flags.service} {
		if v != "" {
			values[k] = v
		}
	}
	c, err := config.Load(config.Options{Path: a.flags.config, Env: a.flags.env, Environ: a.environ(), Flags: values, Lists: o.lists, Maps: o.maps, Lenient: lenient})
	if err != nil {
		return err
	}
	s.config = c
	s.redact.Add(c.SecretValues()...)
	if c.Service != "" {
		s.screen.Title(s.command + " " + c.Service)
	}
	return nil
}

// withoutAWS is the hint for who has no account at hand.
const withoutAWS = "to try it without AWS: weelo-deploy release --sandbox"

// target refuses a run that does not know which service it is about.
func (s *session) target() error {
	var missing []string
	if s.config.Cluster == "" {
		missing = append(missing, "cluster")
	}
	if s.config.Service == "" {
		missing = append(missing, "service")
	}
	if len(missing) == 0 {
		return nil
	}
	f := event.Fail(event.CodeUsage, "no "+missing[0]+" is named")
	if len(missing) == 2 {
		f.Message = "neither cluster nor service is named"
	}
	f.Hint("name them in weelo-deploy.yaml (weelo-deploy init writes it), or with --cluster and --service")
	if s.command == "release" {
		f.Hint(withoutAWS)
	}
	return f
}

// site opens the clients and the place for commands that only talk to AWS. What of
// the configuration they do not need may be wrong: who has to go back now mends it
// later. warn tells of it.
func (s *session) site(ctx context.Context, warn func(string)) (release.Clients, string, error) {
	if err := s.read(overrides{}, true); err != nil {
		return release.Clients{}, "", s.withoutFile(err)
	}
	if s.config.Mistakes != nil {
		warn(s.leftOut())
	}
	if err := s.target(); err != nil {
		return release.Clients{}, "", err
	}
	clients, region, err := openClients(ctx, place{Region: s.config.Region, On: s.config.Build.On})
	s.region = region
	return s.conceal(clients), region, err
}

// leftOut says which parts of the configuration are not read, and why.
func (s *session) leftOut() string {
	found := event.FailuresOf(s.config.Mistakes)
	text := fmt.Sprintf("the configuration has mistakes in parts that %s can do without, and they are left out (%s): %s", s.command, strings.Join(s.config.LeftOut, ", "), found[0].Message)
	if more := len(found) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more: weelo-deploy config show)", more)
	}
	return text
}

// withoutFile adds to the error of a configuration that cannot be read how to do
// without what is wrong: the file, or a variable. Neither is ignored by itself: it
// may name the only account that may be touched.
func (s *session) withoutFile(err error) error {
	all := event.FailuresOf(err)
	if all[0].Code != event.CodeConfig {
		return err
	}
	inFile := false
	for _, f := range all {
		if name, _, found := strings.Cut(f.Message, ":"); found && strings.HasPrefix(name, "WEELO_DEPLOY_") {
			f.Hint("to do without it: unset " + name)
		} else {
			inFile = true
		}
	}
	if inFile {
		all[0].Hint(fmt.Sprintf("to do without the file, and without the account that it names: weelo-deploy %s --config %s --region REGION --cluster CLUSTER --service SERVICE", s.command, os.DevNull))
	}
	return err
}

// reportFlag lets a command write its run as a page.
func (a *app) reportFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.report, "report", "", "write the run as one HTML page to `FILE`, also when it fails")
}
