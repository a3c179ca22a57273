package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/sandbox/background"
)

// answerTime is how long a sandbox may take to show that it answers.
const answerTime = 2 * time.Second

// sandboxesReport is the JSON form of sandbox status (docs/json-output.md).
type sandboxesReport struct {
	Sandboxes []sandboxReport `json:"sandboxes"`
}

type sandboxReport struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`
	URL     string    `json:"url,omitempty"`
	Account string    `json:"account,omitempty"`
	Region  string    `json:"region,omitempty"`
	Speed   float64   `json:"speed,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"startedAt,omitzero"`
	Folder  string    `json:"folder,omitempty"`
	Log     string    `json:"log"`
}

func newSandboxStatusCommand(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "status", Short: "Which sandboxes run in the background", Args: noArgs,
		Long: `status lists the sandboxes in the background: running, starting, silent (its
process lives and does not answer) or dead (it was killed; down or the next up
removes what it left). With --name it is about one, which has to be there.`,
		Example: "  weelo-deploy sandbox status\n  weelo-deploy sandbox status --name second --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.begin("sandbox status")
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("name") {
				name = ""
			}
			if err := s.sandboxStatus(cmd.Context(), name); err != nil {
				return s.refuse(err)
			}
			return nil
		},
	}
	a.nameFlag(cmd, &name)
	return cmd
}

func (s *session) sandboxStatus(ctx context.Context, name string) error {
	found, err := findSandboxes(name)
	if err != nil {
		return err
	}
	rep := sandboxesReport{Sandboxes: []sandboxReport{}}
	for _, b := range found {
		r := sandboxReport{b.Name, string(b.State), b.URL, b.Account, b.Region, b.Speed, b.PID, b.Started.UTC(), b.Folder, b.Log}
		if b.State == background.Running && !answers(ctx, b.URL) {
			r.State = "silent"
		}
		rep.Sandboxes = append(rep.Sandboxes, r)
	}
	if s.app.wantsJSON() {
		return output.WriteObject(s.app.stdout, s.redact, rep)
	}
	return s.printSandboxes(rep)
}

// findSandboxes gives the one of the name, or all for an empty one.
func findSandboxes(name string) ([]background.Sandbox, error) {
	if name != "" {
		home, err := sandboxHome(name)
		if err != nil {
			return nil, err
		}
		b, err := home.Look(name)
		if err == nil && b.State == background.Absent {
			err = noSandbox(name)
		}
		return []background.Sandbox{b}, err
	}
	home, err := background.DefaultHome()
	if err != nil {
		return nil, err
	}
	return home.List()
}

func noSandbox(name string) error {
	return event.Fail(event.CodeNotFound, "no sandbox "+name+" runs in the background").Try("weelo-deploy sandbox up" + nameArgument(name))
}

// answers asks a sandbox whether it does.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/_sandbox/status", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func (s *session) printSandboxes(rep sandboxesReport) error {
	if len(rep.Sandboxes) == 0 {
		fmt.Fprintln(s.app.stderr, "sandbox: none runs in the background")
	}
	t := s.table("NAME", "STATE", "ADDRESS", "REGION", "ACCOUNT", "PROCESS", "STARTED", "KEPT IN", "LOG")
	for _, r := range rep.Sandboxes {
		t.Row(r.Name, r.State, r.URL, r.Region, r.Account, r.PID, r.Started, r.Folder, r.Log)
	}
	return t.Flush()
}
