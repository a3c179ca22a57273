package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weelo/weelo-deploy/internal/check"
	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/jsonpath"
	"github.com/weelo/weelo-deploy/internal/release"
)

// How large the files of a check may be.
const (
	maxHeaderFile = 16 << 10
	maxBodyFile   = 1 << 20
)

// liveChecks are the configured checks, with the files that they name. Values of
// headers are made known to the redactor before anything can print them.
func (s *session) liveChecks() (release.Checks, error) {
	var out release.Checks
	var errs []error
	for i, h := range s.config.Checks.HTTP {
		one, err := s.httpCheck(fmt.Sprintf("checks.http[%d]", i), h)
		if errs = append(errs, err); s.app.onSandbox() && !onLoopback(h.URL) {
			s.out.In("")(event.Note{Level: event.Warn, Text: "check " + h.Name + " is not made: AWS is a sandbox on this machine (AWS_ENDPOINT_URL), and the check's address is elsewhere"})
			continue
		}
		out.HTTP = append(out.HTTP, one)
	}
	for _, l := range s.config.Checks.Logs {
		one := check.Log{Name: l.Name, Contains: l.Contains, Absent: l.Absent, Within: l.Within}
		one.Matches = compiled(l.Matches)
		out.Logs = append(out.Logs, one)
	}
	return out, errors.Join(errs...)
}

// onSandbox says whether what stands for AWS is on this machine: who practises there
// must not ask production whether it worked, or write to it.
func (a *app) onSandbox() bool {
	for _, name := range []string{"AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL"} {
		if at := a.getenv(name); at != "" {
			return onLoopback(at)
		}
	}
	return false
}

func onLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || err == nil && ip.IsLoopback()
}

func (s *session) httpCheck(path string, h config.HTTPCheck) (check.HTTP, error) {
	out := check.HTTP{
		Name: h.Name, Method: h.Method, URL: h.URL, Header: map[string]string{}, Body: []byte(h.Body),
		Expect: check.Expect{
			Status: h.Expect.Status, Contains: h.Expect.Contains, Matches: compiled(h.Expect.Matches),
			Header: h.Expect.Headers, Within: h.Expect.Within,
		},
		Timeout: h.Timeout, Retries: h.Retries, Pause: h.Pause,
		Repeat: h.Repeat, Same: h.Same == "body", Parallel: h.Parallel, FailingBefore: h.ExpectFailingBefore,
	}
	for name, value := range h.Headers {
		out.Header[name] = value
	}
	var errs []error
	for name, file := range h.HeaderFiles {
		value, err := s.headerFile(path+".headerFiles."+name, file)
		errs = append(errs, err)
		out.Header[name] = value
	}
	if h.BodyFile != "" {
		var err error
		out.Body, err = s.checkFile(path+".bodyFile", h.BodyFile, maxBodyFile)
		errs = append(errs, err)
	}
	out.Expect.JSON = fields(h.Expect.JSON)
	for status, n := range h.Statuses {
		if out.Statuses == nil {
			out.Statuses = map[int]int{}
		}
		code, _ := strconv.Atoi(status) // the configuration's rules have seen to it that both are numbers
		out.Statuses[code], _ = strconv.Atoi(n)
	}
	return out, errors.Join(errs...)
}

// compiled is a pattern that the configuration's rules have accepted; nil for none.
func compiled(s string) *regexp.Regexp {
	if s == "" {
		return nil
	}
	return regexp.MustCompile(s)
}

// fields are the wanted values by path, in the order of the paths.
func fields(want map[string]string) []check.Field {
	var out []check.Field
	for path, value := range want {
		if p, err := jsonpath.Parse(path); err == nil { // the rules have seen to it
			out = append(out, check.Field{Path: p, Want: value})
		}
	}
	slices.SortFunc(out, func(a, b check.Field) int { return strings.Compare(a.Path.String(), b.Path.String()) })
	return out
}

// headerFile is the one line of a file that holds the value of a header.
func (s *session) headerFile(key, file string) (string, error) {
	text, err := s.checkFile(key, file, maxHeaderFile)
	if err != nil {
		return "", err
	}
	value := strings.TrimSpace(string(text))
	s.redact.Add(config.HeaderSecrets(value)...)
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return "", event.Fail(event.CodeConfig, fmt.Sprintf("%s: %s holds no value of a header: want one line of text", s.config.Origin(key), file))
	}
	return value, nil
}

// checkFile reads a file that a check names.
func (s *session) checkFile(key, file string, most int64) ([]byte, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, event.Fail(event.CodeConfig, fmt.Sprintf("%s: %s cannot be read", s.config.Origin(key), key)).Because(err)
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is larger than %d KiB", file, most>>10)
	}
	if err != nil {
		return nil, event.Fail(event.CodeConfig, fmt.Sprintf("%s: %s cannot be read", s.config.Origin(key), key)).Because(err)
	}
	return text, nil
}

// resumedChecks are the checks of the release that watch picks up, as far as they
// are known: those of the file here, if it is about the same service and they can
// be read. Without them the release is brought to its end all the same.
func (s *session) resumedChecks() release.Checks {
	if s.config.File == "" {
		return release.Checks{Unknown: "there is no " + config.FileName + " here that could say which checks there are"}
	}
	a := s.app
	of, err := config.Load(config.Options{Path: a.flags.config, Env: a.flags.env, Environ: a.environ(), Lenient: true})
	switch {
	case err == nil && (history.Short(of.Cluster) != history.Short(s.config.Cluster) || history.Short(of.Service) != history.Short(s.config.Service)):
		return release.Checks{Unknown: config.FileName + " here is about another service"}
	case err != nil || s.config.Lacks("checks"):
		return release.Checks{Unknown: "the checks of " + config.FileName + " have mistakes"}
	}
	checks, err := s.liveChecks()
	if err != nil {
		s.warn("the live checks are not made: " + event.FailuresOf(err)[0].Message)
		return release.Checks{Unknown: "a file that the checks name cannot be read"}
	}
	return checks
}
