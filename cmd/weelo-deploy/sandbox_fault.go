package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
)

type faultFlags struct {
	list         bool
	remove, name string
	named        bool // on the command line
}

func newSandboxFaultCommand(a *app) *cobra.Command {
	var f faultFlags
	cmd := &cobra.Command{
		Use: "fault JSON", Short: "Ask the running sandbox to misbehave",
		Args: func(cmd *cobra.Command, args []string) error {
			if f.list || f.remove != "" {
				return noArgs(cmd, args)
			}
			return oneArg("JSON", false)(cmd, args)
		},
		Long: `fault adds a rule to the sandbox that AWS_ENDPOINT_URL names, or a list of them, and
prints the ids. --name picks one in the background; "default" is taken when
AWS_ENDPOINT_URL is not set either. docs/sandbox.md lists what rules can do: fail, hang, cut or delay calls (when),
set alarms off (when with alarm), keep images from being pulled or pushed (pull, push), end tasks
and fail their health checks (task), take capacity, hosts and the right time away (capacity, host,
clock), and deny permissions (deny).`,
		Example: `  weelo-deploy sandbox fault '{"when":"DescribeTasks","times":3,"error":"ThrottlingException"}'
  weelo-deploy sandbox fault '{"task":"web","exit":139,"delay":"2s"}'
  weelo-deploy sandbox fault --name second '{"pull":"denied"}'
  weelo-deploy sandbox fault --list
  weelo-deploy sandbox fault --remove all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.begin("sandbox fault")
			if err != nil {
				return err
			}
			f.named = cmd.Flags().Changed("name")
			if err := a.sandboxFault(cmd.Context(), s, f, args); err != nil {
				return s.refuse(err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&f.list, "list", false, "list the rules and what they have done so far")
	cmd.Flags().StringVar(&f.remove, "remove", "", "take the rule `ID` back, or all of them")
	a.nameFlag(cmd, &f.name)
	cmd.MarkFlagsMutuallyExclusive("list", "remove")
	return cmd
}

func (a *app) sandboxFault(ctx context.Context, s *session, f faultFlags, args []string) error {
	url, err := a.faultAddress(f)
	if err != nil {
		return err
	}
	control := faultControl{url}
	switch {
	case f.list:
		return control.list(ctx, s)
	case f.remove == "all":
		return control.do(ctx, http.MethodDelete, "", "", nil)
	case f.remove != "":
		return control.do(ctx, http.MethodDelete, "/"+f.remove, "", nil)
	}
	var added struct{ IDs []string }
	if err := control.do(ctx, http.MethodPost, "", args[0], &added); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, strings.Join(added.IDs, " "))
	return err
}

// faultAddress is that of the sandbox that the rules are for: the one named, else
// the environment's, else the default one in the background.
func (a *app) faultAddress(f faultFlags) (string, error) {
	url := a.getenv("AWS_ENDPOINT_URL")
	if f.named || url == "" {
		b, err := runningSandbox(f.name)
		return b.URL, err
	}
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		return "", event.Fail(event.CodeUsage, "AWS_ENDPOINT_URL does not name a sandbox").
			Hint("weelo-deploy sandbox fault --name NAME … is for one in the background; weelo-deploy sandbox exec sets the environment of a command")
	}
	return url, nil
}

// faultControl is the endpoint for the faults of the sandbox at an address.
type faultControl struct{ url string }

func (c faultControl) list(ctx context.Context, s *session) error {
	var all struct{ Faults []fault.Report }
	if err := c.do(ctx, http.MethodGet, "", "", &all); err != nil {
		return err
	}
	t := s.table("ID", "ACTED", "LAST ON", "RULE")
	for _, f := range all.Faults {
		last := ""
		if n := len(f.Did); n > 0 {
			last = f.Did[n-1].On
		}
		id := f.ID
		f.ID = ""
		rule, err := json.Marshal(f.Rule)
		if err != nil {
			return err
		}
		t.Row(id, fmt.Sprint(f.Acted), last, string(rule))
	}
	return t.Flush()
}

// do makes a request and reads its answer into what is given.
func (c faultControl) do(ctx context.Context, method, path, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.url+"/_sandbox/faults"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return event.Fail(event.CodeNotFound, "no sandbox answers at "+c.url).Because(err).Try("weelo-deploy sandbox")
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("read the sandbox's answer: %w", err)
	}
	switch {
	case res.StatusCode >= 300:
		return refusedFault(answer)
	case into == nil:
		return nil
	}
	return json.Unmarshal(answer, into)
}

func refusedFault(answer []byte) error {
	var e struct {
		Message string `json:"error"`
	}
	if json.Unmarshal(answer, &e) != nil || e.Message == "" {
		e.Message = strings.TrimSpace(string(answer))
	}
	return event.Fail(event.CodeUsage, "the sandbox refuses: "+e.Message).Hint("docs/sandbox.md lists what faults can do")
}
