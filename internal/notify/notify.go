// Package notify tells webhooks how a run ended: in a JSON form of our own
// (docs/notifications.md), or in Slack's. About gives the message of a result,
// Send delivers it.
//
// Telling never changes how a run ended: Send gives errors for a note and is
// bounded in time. A webhook's URL is a secret: no error of this package holds it,
// and redirects are not followed, since they would take message and secret to
// somewhere that nobody configured.
package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The events that a Target may ask for.
const (
	Released   = "released"
	RolledBack = "rolled_back"
	Failed     = "failed"
	Refused    = "refused"
)

// The forms of a message.
const (
	JSON  = "json"
	Slack = "slack"
)

// Target is one webhook.
type Target struct {
	URL    string
	Format string   // JSON or Slack; empty: by the URL's host
	On     []string // events; empty: all but Refused
}

// wants says whether the target asked for an event.
func (t Target) wants(event string) bool {
	if len(t.On) == 0 {
		return event != Refused
	}
	return slices.Contains(t.On, event)
}

// Loopback reports whether the webhook is on this machine.
func (t Target) Loopback() bool {
	u, err := url.Parse(t.URL)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

func (t Target) format() string {
	if t.Format != "" {
		return t.Format
	}
	u, err := url.Parse(t.URL)
	if err == nil && (u.Hostname() == "hooks.slack.com" || u.Hostname() == "hooks.slack-gov.com") {
		return Slack
	}
	return JSON
}

// Bounds of telling, for all webhooks together.
const (
	tries      = 4
	firstPause = 500 * time.Millisecond // the next ones are twice as long each
	oneTry     = 3 * time.Second
)

// Total is how long Send may take when its context does not end earlier.
const Total = 10 * time.Second

// Send tells the targets that asked for the message's event, side by side, and
// gives an error for each that was not told, named by its place in targets.
func Send(ctx context.Context, targets []Target, m Message) []error {
	ctx, cancel := context.WithTimeout(ctx, Total)
	defer cancel()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	missed := make([]error, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		if !t.wants(m.Event) {
			continue
		}
		all.Go(func() {
			if err := deliver(ctx, client, t, m); err != nil {
				missed[i] = fmt.Errorf("notify[%d] was not told: %w", i, err)
			}
		})
	}
	all.Wait()
	return slices.DeleteFunc(missed, func(err error) bool { return err == nil })
}

// deliver tries until the webhook takes the message, refuses it for good, or the
// time is over.
func deliver(ctx context.Context, client *http.Client, t Target, m Message) error {
	body, err := m.body(t.format())
	if err != nil {
		return err
	}
	pause := firstPause
	for try := 1; ; try++ {
		again, err := post(ctx, client, t.URL, body)
		if err == nil || !again || try == tries {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		pause *= 2
	}
}

// post sends once. again says whether another try may help.
func post(ctx context.Context, client *http.Client, to string, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("its URL cannot be used") // the cause would show it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "weelo-deploy")
	res, err := client.Do(req)
	if err != nil {
		return true, reason(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	switch code := res.StatusCode; {
	case code < 300:
		return false, nil
	case code < 400:
		return false, fmt.Errorf("it answered %d, and redirects are not followed", code)
	default:
		return code == http.StatusTooManyRequests || code >= 500, fmt.Errorf("it answered %d %s", code, strings.ToLower(http.StatusText(code)))
	}
}

// reason is why a request failed, without the URL and the host's name.
func reason(err error) error {
	var name *net.DNSError
	var dial *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &name):
		return errors.New("its host's name cannot be resolved")
	case errors.As(err, &dial):
		return fmt.Errorf("%s: %w", dial.Op, dial.Err)
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}
