package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/sandbox/background"
)

func newSandboxDownCommand(a *app) *cobra.Command {
	var name string
	var all bool
	cmd := &cobra.Command{
		Use: "down", Short: "End a sandbox in the background, and clean up", Args: noArgs,
		Long: `down ends the sandbox and returns when nothing of it is left: no process,
container, network, image or file. It also removes what a killed one has left.
The folder of --state stays, for the next up.`,
		Example: "  weelo-deploy sandbox down\n  weelo-deploy sandbox down --name second\n  weelo-deploy sandbox down --all",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.begin("sandbox down")
			if err != nil {
				return err
			}
			if err := a.sandboxDown(cmd.Context(), name, all); err != nil {
				return s.refuse(interruptOr(cmd.Context(), err))
			}
			return nil
		},
	}
	a.nameFlag(cmd, &name)
	cmd.Flags().BoolVar(&all, "all", false, "all that are in the background")
	cmd.MarkFlagsMutuallyExclusive("name", "all")
	return cmd
}

func (a *app) sandboxDown(ctx context.Context, name string, all bool) error {
	home, err := sandboxHome(name)
	if err != nil {
		return err
	}
	release, err := home.Reserve(ctx)
	if err != nil {
		return err
	}
	defer release()
	names := []string{name}
	if all {
		there, err := home.List()
		if err != nil {
			return err
		}
		names = nil
		for _, b := range there {
			names = append(names, b.Name)
		}
		if len(names) == 0 {
			fmt.Fprintln(a.stderr, "sandbox: none runs in the background")
		}
	}
	var errs []error
	for _, n := range names {
		errs = append(errs, a.endSandbox(ctx, home, n))
	}
	return errors.Join(errs...)
}

// endSandbox ends one. The files of one that was killed stay until the engine is
// swept too, so that a later down tries again.
func (a *app) endSandbox(ctx context.Context, home background.Home, name string) error {
	before, err := home.Look(name)
	if err != nil {
		return err
	}
	if err := home.End(ctx, name, endPatience); err != nil {
		return fmt.Errorf("end the sandbox %s: %w", name, err)
	}
	after, err := home.Look(name)
	if err != nil {
		return err
	}
	if after.State == background.Dead {
		if err := cleanSandboxes(ctx, nil); err != nil {
			return fmt.Errorf("remove what the sandbox %s has left: %w", name, err)
		}
	}
	if err := home.Remove(name); err != nil {
		return fmt.Errorf("remove the files of the sandbox %s: %w", name, err)
	}
	kept := ""
	if before.Folder != "" {
		kept = "; its state is in " + before.Folder
	}
	switch {
	case after.State == background.Dead:
		fmt.Fprintf(a.stderr, "sandbox %s: was killed; what it left is removed%s\n", name, kept)
	case before.Lives():
		fmt.Fprintf(a.stderr, "sandbox %s: has ended%s\n", name, kept)
	default:
		fmt.Fprintf(a.stderr, "sandbox %s: does not run\n", name)
	}
	return nil
}
