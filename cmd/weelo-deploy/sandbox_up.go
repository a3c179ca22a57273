package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/sandbox/background"
)

// defaultSandbox is the name of a sandbox in the background that none is given.
const defaultSandbox = "default"

// endPatience is how long a sandbox may take to clean up: a little more than it
// gives its tasks.
const endPatience = 75 * time.Second

type upFlags struct {
	sandboxFlags
	name string
}

func newSandboxUpCommand(a *app) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use: "up", Short: "Start a sandbox in the background", Args: noArgs,
		Long: `up starts a sandbox that outlives this command and its terminal, waits until it
answers, and prints what sandbox prints. Several run at once under different
names; one with another name than "default" takes a free port unless --listen
says which. When one of the name runs already, up prints its environment. What a killed one
has left is removed first. With --state everything is kept in a folder, over down and
kills, and the next up with it goes on.`,
		Example: `  weelo-deploy sandbox up --region ap-south-1 --seed examples/incident/stuck.yaml
  weelo-deploy sandbox exec -- aws ecs list-services --cluster weelocluster
  weelo-deploy sandbox up --name second
  weelo-deploy sandbox up --state ./rehearsal   # the next up with it goes on
  weelo-deploy sandbox down --all`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.settle(cmd)
			return a.sandboxUp(cmd.Context(), &f)
		},
	}
	f.add(cmd)
	a.nameFlag(cmd, &f.name)
	return cmd
}

// settle finds out which flags were given, and gives a sandbox of another name than
// the default a free port.
func (f *upFlags) settle(cmd *cobra.Command) {
	f.given = cmd.Flags().Changed
	if f.name != defaultSandbox && !f.was("listen") {
		f.listen = "127.0.0.1:0"
	}
}

// nameFlag lets a command be about one of several sandboxes.
func (a *app) nameFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "name", defaultSandbox, "`NAME` of the sandbox")
	_ = cmd.RegisterFlagCompletionFunc("name", completes(func(context.Context) []string { // the flag is there
		var names []string
		if home, err := background.DefaultHome(); err == nil {
			all, _ := home.List() // a shell has no place for an error
			for _, b := range all {
				names = append(names, b.Name)
			}
		}
		return names
	}))
}

// sandboxHome finds the sandboxes in the background, and refuses a name that none
// can have.
func sandboxHome(name string) (background.Home, error) {
	if !background.ValidName(name) {
		return "", event.Fail(event.CodeUsage, fmt.Sprintf("--name is up to 32 small letters, digits and hyphens, not %q", name))
	}
	return background.DefaultHome()
}

func (a *app) sandboxUp(ctx context.Context, f *upFlags) error {
	s, err := a.begin("sandbox up")
	if err != nil {
		return err
	}
	home, err := sandboxHome(f.name)
	if err == nil {
		err = f.forgetEnvironment()
	}
	if err != nil {
		return s.refuse(err)
	}
	release, err := home.Reserve(ctx)
	if err != nil {
		return s.refuse(interruptOr(ctx, err))
	}
	defer release()
	f.state, err = absolute(f.state)
	if err != nil {
		return s.refuse(err)
	}
	b, how, err := a.findOrStart(ctx, home, f)
	var said exit
	switch {
	case errors.As(err, &said):
		return said
	case err != nil:
		return s.refuse(interruptOr(ctx, err))
	}
	if err := a.giveEnvironment(&f.sandboxFlags, b.Env); err != nil {
		return s.refuse(err)
	}
	fmt.Fprintf(a.stderr, "sandbox %s: %s on %s, process %d; weelo-deploy sandbox down%s ends it and cleans up\n", b.Name, how, b.URL, b.PID, nameArgument(b.Name))
	a.tellPage(b.URL)
	a.tellNotes(b.Open, b.Notes)
	return nil
}

// nameArgument is what a command about this sandbox says besides.
func nameArgument(name string) string {
	if name == defaultSandbox {
		return ""
	}
	return " --name " + name
}

// findOrStart gives the sandbox that runs, when need be after waiting for one that
// is being started by a process that is gone, or a new one.
func (a *app) findOrStart(ctx context.Context, home background.Home, f *upFlags) (background.Sandbox, string, error) {
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		b, err := home.Look(f.name)
		switch {
		case err != nil:
			return b, "", err
		case b.State == background.Running:
			b.Notes = nil // of its start
			return b, "runs already, flags are for a new one; it listens", a.differs(f, b)
		case b.State != background.Starting:
			b, err = a.startInBackground(ctx, home, f)
			return b, "listening", err
		}
		select {
		case <-ctx.Done():
			return b, "", context.Cause(ctx)
		case <-every.C:
		}
	}
}

// differs refuses flags that the sandbox that runs under this name does not have, as
// far as its record tells.
func (a *app) differs(f *upFlags, b background.Sandbox) error {
	var wrong []string
	for _, flag := range []struct {
		name, want, has string
		given           bool
	}{
		{"account", f.account, b.Account, f.was("account")},
		{"region", a.flags.region, b.Region, a.flags.region != ""},
		{"speed", fmt.Sprint(f.speed), fmt.Sprint(b.Speed), f.was("speed")},
		{"state", f.state, b.Folder, f.was("state")},
	} {
		if flag.given && flag.want != flag.has {
			wrong = append(wrong, fmt.Sprintf("--%s %s (it has %s)", flag.name, flag.want, cmp.Or(flag.has, "none")))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return event.Fail(event.CodeUsage, "the sandbox "+b.Name+" runs already, without "+strings.Join(wrong, ", ")).
		Hint("end it first, or give another one another --name").
		Try("weelo-deploy sandbox down" + nameArgument(b.Name))
}

// absolute is the path from everywhere; none stays none.
func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}

func (a *app) startInBackground(ctx context.Context, home background.Home, f *upFlags) (background.Sandbox, error) {
	if err := home.Remove(f.name); err != nil {
		return background.Sandbox{}, fmt.Errorf("remove what the last sandbox %s has left: %w", f.name, err)
	}
	program, err := os.Executable()
	if err != nil {
		return background.Sandbox{}, err
	}
	args, err := a.serveArguments(f)
	if err != nil {
		return background.Sandbox{}, err
	}
	p, err := home.Begin(f.name, os.Args[0], program, args, a.environ())
	if err != nil {
		return background.Sandbox{}, err
	}
	b, err := p.Await(ctx)
	if err == nil {
		return b, nil
	}
	if errors.Is(err, background.ErrEnded) {
		err = a.relay(p)
	} else {
		p.Stop(endPatience)
	}
	return b, errors.Join(err, home.Remove(f.name))
}

// serveArguments are those of the process in the background. It works in another
// folder, so paths are made absolute.
func (a *app) serveArguments(f *upFlags) ([]string, error) {
	args := []string{"sandbox", "serve", "--name", f.name}
	// A state knows whose it is and where it was: what was not given stays so.
	for _, flag := range []struct {
		name, value string
		given       bool
	}{{"listen", f.listen, f.was("listen")}, {"account", f.account, f.was("account")}, {"region", a.sandboxRegion(), a.flags.region != ""}} {
		if f.state == "" || flag.given {
			args = append(args, "--"+flag.name, flag.value)
		}
	}
	args = append(args, "--speed", strconv.FormatFloat(f.speed, 'g', -1, 64))
	if f.unsafe {
		args = append(args, "--unsafe-listen")
	}
	if f.throttle {
		args = append(args, "--throttle")
	}
	for _, file := range [][2]string{{"--state", f.state}, {"--seed", f.seed}, {"--faults", f.faults}} {
		if file[1] == "" {
			continue
		}
		path, err := filepath.Abs(file[1])
		if err != nil {
			return nil, err
		}
		args = append(args, file[0], path)
	}
	if mode := a.outputMode(); mode != "" {
		args = append(args, "--output", mode)
	}
	return args, nil
}

// relay prints what a process has said that could not become a sandbox, and ends as
// it did.
func (a *app) relay(p *background.Process) error {
	code, stdout, stderr, err := p.Said()
	if err != nil {
		return err
	}
	if code <= 0 { // killed, or it ended well without having been a sandbox
		return fmt.Errorf("the process of the sandbox has ended: %s", stderr)
	}
	if _, err := a.stdout.Write(stdout); err != nil {
		return err
	}
	_, _ = a.stderr.Write(stderr) // there is no other place to say that it fails
	return exit(code)
}

// newSandboxServeCommand is the process in the background. It is up's alone.
func newSandboxServeCommand(a *app) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "Be the sandbox that up has started", Args: noArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.settle(cmd)
			return a.sandboxServe(cmd.Context(), &f)
		},
	}
	f.add(cmd)
	a.nameFlag(cmd, &f.name)
	return cmd
}

func (a *app) sandboxServe(ctx context.Context, f *upFlags) error {
	s, err := a.begin("sandbox up")
	if err != nil {
		return err
	}
	home, err := sandboxHome(f.name)
	if err != nil {
		return s.refuse(err)
	}
	place, err := home.Take(ctx, f.name)
	if err != nil {
		return s.refuse(interruptOr(ctx, err))
	}
	r := background.Record{PID: os.Getpid(), Started: a.now(), Account: f.account, Region: a.sandboxRegion(), Speed: f.speed, Folder: f.state}
	if err := place.Write(r); err != nil {
		return s.refuse(errors.Join(err, place.Leave(true)))
	}
	server, closing, err := a.startSandbox(ctx, &f.sandboxFlags, "weelo-deploy sandbox up"+nameArgument(f.name))
	if err != nil {
		return s.refuse(errors.Join(interruptOr(ctx, err), place.Leave(true)))
	}
	r.URL, r.Env, r.Account, r.Region = server.URL(), server.Env(), server.Account(), server.Region()
	r.Open, r.Notes = server.Open(), f.notes(server)
	if err := place.Write(r); err != nil {
		return s.refuse(errors.Join(err, closing(), place.Leave(true)))
	}
	fmt.Fprintf(a.stderr, "sandbox: listening on %s, speed %g\n", server.URL(), f.speed)
	<-ctx.Done()
	fmt.Fprintf(a.stderr, "sandbox: cleaning up: %v\n", context.Cause(ctx))
	err = closing()
	if err = errors.Join(err, place.Leave(err == nil)); err != nil {
		fmt.Fprintf(a.stderr, "sandbox: cleaning up: %v\n", err)
	}
	return nil
}
