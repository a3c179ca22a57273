package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Statuses of a function's answer (hookStatus).
const (
	Succeeded  = "SUCCEEDED"
	Failed     = "FAILED"
	InProgress = "IN_PROGRESS"
)

// A Script says what a Lambda function answers.
type Script struct {
	Function string `json:"function" yaml:"function"`                     // its name or ARN
	Stage    string `json:"stage,omitempty" yaml:"stage"`                 // only at this lifecycle stage
	Status   string `json:"status,omitempty" yaml:"status"`               // Succeeded if empty
	After    int    `json:"after,omitempty" yaml:"after"`                 // calls that are answered InProgress before
	Delay    int    `json:"callBackDelay,omitempty" yaml:"callBackDelay"` // seconds, told with InProgress

	Answer json.RawMessage `json:"answer,omitempty" yaml:"-"`    // instead of a status
	Error  string          `json:"error,omitempty" yaml:"error"` // the call fails so
	URL    string          `json:"url,omitempty" yaml:"url"`     // is asked instead

	Calls int `json:"calls,omitempty" yaml:"-"` // that it has answered
}

// Check says what is wrong with a script.
func (s Script) Check() error {
	ways := 0
	for _, given := range []bool{s.Status != "" || s.After != 0 || s.Delay != 0, s.Answer != nil, s.Error != "", s.URL != ""} {
		if given {
			ways++
		}
	}
	switch {
	case s.Function == "":
		return errors.New("a hook script wants a function")
	case ways > 1:
		return fmt.Errorf("function %s: a script has either a status, an answer, an error or a url", s.Function)
	case s.Status != "" && !slices.Contains([]string{Succeeded, Failed, InProgress}, s.Status):
		return fmt.Errorf("function %s: status is SUCCEEDED, FAILED or IN_PROGRESS, not %q", s.Function, s.Status)
	case s.After < 0 || s.Delay < 0:
		return fmt.Errorf("function %s: after and callBackDelay are not below 0", s.Function)
	case s.URL != "":
		return checkURL(s.URL)
	}
	return nil
}

// checkURL refuses addresses that are not of this machine: a rehearsal asks
// nobody else.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	if u.Scheme != "http" || host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("url %s is not an http address of this machine", text)
	}
	return nil
}

// fits says whether the script is for a call.
func (s Script) fits(function, stage string) bool {
	if s.Stage != "" && s.Stage != stage {
		return false
	}
	return s.Function == function || s.Function == functionName(function)
}

// functionName is the name in the ARN of a function, without a version.
func functionName(arn string) string {
	_, rest, found := strings.Cut(arn, ":function:")
	if !found {
		return arn
	}
	name, _, _ := strings.Cut(rest, ":")
	return name
}

// answer is what the script says to its n-th call, from 1.
func (s Script) answer(n int) (json.RawMessage, error) {
	switch {
	case s.Error != "":
		return nil, errors.New(s.Error)
	case s.Answer != nil:
		return s.Answer, nil
	}
	status := s.Status
	if status == "" {
		status = Succeeded
	}
	if n <= s.After {
		status = InProgress
	}
	said := map[string]any{"hookStatus": status}
	if status == InProgress && s.Delay > 0 {
		said["callBackDelay"] = s.Delay
	}
	return json.Marshal(said)
}

// checkLoopback refuses to connect to another machine, whatever a name resolved to.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not this machine", address)
	}
	return nil
}
