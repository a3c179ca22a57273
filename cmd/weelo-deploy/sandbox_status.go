package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/sandbox/background"
	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
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
	Page    string    `json:"page,omitempty"`
	Account string    `json:"account,omitempty"`
	Region  string    `json:"region,omitempty"`
	Speed   float64   `json:"speed,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"startedAt,omitzero"`
	Folder  string    `json:"folder,omitempty"`
	Open    string    `json:"open,omitempty"`
	Log     string    `json:"log"`

	Listeners []sandboxListener `json:"listeners,omitempty"`
}

// sandboxListener says where a listener of a load balancer is reached.
type sandboxListener struct {
	LoadBalancer string `json:"loadBalancer"`
	Protocol     string `json:"protocol"`
	Port         int    `json:"port"`
	Address      string `json:"address"`
	DNSName      string `json:"dnsName"`
}

func newSandboxStatusCommand(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "status", Short: "Which sandboxes run in the background", Args: noArgs,
		Long: `status lists the sandboxes in the background: running, starting, silent (its
process lives and does not answer) or dead (it was killed; down or the next up
removes what it left), and where their load balancers listen. With --name it is about one, which has to be there.`,
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
		r := sandboxReport{b.Name, string(b.State), b.URL, "", b.Account, b.Region, b.Speed, b.PID, b.Started.UTC(), b.Folder, b.Open, b.Log, nil}
		if b.State == background.Running {
			var answers bool
			if r.Listeners, answers = askSandbox(ctx, b.URL); answers {
				r.Page = sandboxPage(b.URL)
			} else {
				r.State = "silent"
			}
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

// askSandbox asks a sandbox where its load balancers listen, and whether it answers
// at all.
func askSandbox(ctx context.Context, url string) (listeners []sandboxListener, answers bool) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/_sandbox/status", nil)
	if err != nil {
		return nil, false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, false
	}
	defer res.Body.Close()
	var status struct{ LoadBalancers []balancer.Status }
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&status); err != nil || res.StatusCode != http.StatusOK {
		return nil, false
	}
	for _, lb := range status.LoadBalancers {
		for _, l := range lb.Listeners {
			listeners = append(listeners, sandboxListener{lb.Name, l.Protocol, l.Port, l.Address, lb.DNSName})
		}
	}
	return listeners, true
}

func (s *session) printSandboxes(rep sandboxesReport) error {
	if len(rep.Sandboxes) == 0 {
		fmt.Fprintln(s.app.stderr, "sandbox: none runs in the background")
	}
	t := s.table("NAME", "STATE", "ADDRESS", "REGION", "ACCOUNT", "PROCESS", "STARTED", "KEPT IN", "LOG").Keep("NAME", "STATE").Whole("ADDRESS")
	for _, r := range rep.Sandboxes {
		t.Row(r.Name, r.State, r.URL, r.Region, r.Account, r.PID, r.Started, r.Folder, r.Log)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range rep.Sandboxes {
		if r.Open != "" {
			fmt.Fprintf(s.app.stderr, "sandbox %s: WARNING: other machines can reach it on %s\n", r.Name, r.Open)
		}
		for _, l := range r.Listeners {
			fmt.Fprintf(s.app.stderr, "sandbox %s: load balancer %s listens for %s port %d at %s\n", r.Name, l.LoadBalancer, l.Protocol, l.Port, l.Address)
		}
	}
	return nil
}
