package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/notify"
)

// interruptedTotal bounds telling after an interrupt: who cancelled waits, and a
// CI system kills 10 s after it cancels.
const interruptedTotal = 2 * time.Second

// tell tells the configured webhooks how the run ended. The verdict is out
// already; what goes wrong here is a note.
func (s *session) tell(res event.Result) {
	switch res.Command {
	case "release", "rollback", "watch":
	default:
		return
	}
	if s.config == nil || len(s.config.Notify) == 0 || s.rehearsal || res.Rehearsal {
		return
	}
	m, ok := notify.About(res, notify.Origin{By: s.app.who(), Run: s.app.jobPage(), Time: s.app.now()}, s.redact.String)
	if !ok {
		return
	}
	ctx, cancel := s.app.afterwards()
	defer cancel()
	for _, err := range notify.Send(ctx, s.webhooks(), m) {
		fmt.Fprintln(s.app.stderr, "note: "+s.redact.String(err.Error()))
	}
}

// afterwards is for what comes after the verdict. Ctrl-C ends it: nobody wants to
// wait for that. After an interrupt it is short.
func (a *app) afterwards() (context.Context, context.CancelFunc) {
	interrupted, most := a.interrupted, notify.Total
	select {
	case <-interrupted:
		interrupted, most = nil, interruptedTotal
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), most)
	go func() {
		select {
		case <-interrupted:
		case <-a.again:
		case <-ctx.Done():
		}
		cancel()
	}()
	return ctx, cancel
}

// webhooks are those that may be told: of a sandbox on this machine, only ones on
// this machine.
func (s *session) webhooks() []notify.Target {
	sandboxed := notify.Target{URL: s.app.getenv("AWS_ENDPOINT_URL")}.Loopback()
	targets := make([]notify.Target, len(s.config.Notify)) // places are kept: notes name them
	for i, n := range s.config.Notify {
		targets[i] = notify.Target{URL: n.URL, Format: n.Format, On: n.On}
		if sandboxed && !targets[i].Loopback() {
			targets[i].On = []string{"nothing"}
		}
	}
	return targets
}

// jobPage is the page of the CI job that this run is part of.
func (a *app) jobPage() string {
	if page := a.getenv("CODEBUILD_BUILD_URL"); page != "" {
		return page
	}
	server, repository, run := a.getenv("GITHUB_SERVER_URL"), a.getenv("GITHUB_REPOSITORY"), a.getenv("GITHUB_RUN_ID")
	if server == "" || repository == "" || run == "" {
		return ""
	}
	page, err := url.JoinPath(server, repository, "actions", "runs", run)
	if err != nil {
		return ""
	}
	return page
}
