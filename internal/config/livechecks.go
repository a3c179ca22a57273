package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/jsonpath"
	"github.com/weelo/weelo-deploy/internal/redact"
)

// reads says whether a check changes nothing, as far as HTTP promises it.
func (h HTTPCheck) reads() bool { return h.Method == "" || h.Method == "GET" || h.Method == "HEAD" }

// checkLive reports live checks that are not complete, or contradict themselves.
func (c *Config) checkLive(out *problems) {
	first := map[string]string{}
	for i, h := range c.Checks.HTTP {
		path := fmt.Sprintf("checks.http[%d]", i)
		c.need(out, path, "name", "url")
		c.sameName(out, first, path, h.Name)
		c.checkRequest(out, path, h)
		c.checkSeveral(out, path, h)
	}
	for i, l := range c.Checks.Logs {
		path := fmt.Sprintf("checks.logs[%d]", i)
		c.need(out, path, "name")
		c.sameName(out, first, path, l.Name)
		if n := c.given(path, "contains", "matches", "absent"); len(n) != 1 {
			out.add(c.Origin(path), path+` needs exactly one of the keys "contains", "matches" and "absent"`)
		}
	}
}

// given are the keys of the entry at path that somebody wrote.
func (c *Config) given(path string, keys ...string) []string {
	return slices.DeleteFunc(keys, func(k string) bool { _, ok := c.keys[path+"."+k]; return !ok })
}

func (c *Config) sameName(out *problems, first map[string]string, path, name string) {
	if other, twice := first[name]; twice && name != "" {
		out.add(c.Origin(path+".name"), fmt.Sprintf("%s has the same name as %s", path, other))
		return
	}
	first[name] = path
}

func (c *Config) checkRequest(out *problems, path string, h HTTPCheck) {
	if !h.reads() {
		if !h.Writes {
			out.add(c.keyOrigin(path+".method"), fmt.Sprintf("%s: %s may change what the service keeps, and it would run on the live service with every release", path, h.Method),
				"say that it may: writes: true")
		}
		for _, k := range c.given(path, "retries", "pause") {
			out.add(c.keyOrigin(path+"."+k), fmt.Sprintf("%s: a %s is not sent again by itself: %s is for GET and HEAD", path, h.Method, k))
		}
		if h.ExpectFailingBefore {
			out.add(c.keyOrigin(path+".expectFailingBefore"), fmt.Sprintf("%s: a %s never runs before the release: expectFailingBefore is for GET and HEAD", path, h.Method))
		}
	}
	if h.Body != "" && h.BodyFile != "" {
		out.add(c.keyOrigin(path+".bodyFile"), path+` takes one of the keys "body" and "bodyFile"`)
	}
	for name := range h.HeaderFiles {
		for other := range h.Headers {
			if strings.EqualFold(name, other) {
				out.add(c.keyOrigin(path+".headerFiles."+name), fmt.Sprintf("%s: %s is in headers and in headerFiles", path, name))
			}
		}
	}
	if h.Method == http.MethodHead {
		for _, k := range append(c.given(path, "same"), c.given(path+".expect", "json", "contains", "matches")...) {
			out.add(c.Origin(path), fmt.Sprintf("%s: the answer to HEAD has no body, which %s looks at", path, k))
		}
	}
}

// checkSeveral reports what does not fit together in a check of several requests.
func (c *Config) checkSeveral(out *problems, path string, h HTTPCheck) {
	if h.Repeat > 0 && h.Parallel > 0 {
		out.add(c.keyOrigin(path+".parallel"), path+` takes one of the keys "repeat" and "parallel"`)
	}
	if h.Same != "" && h.Repeat == 0 {
		out.add(c.keyOrigin(path+".same"), path+`: "same" compares the answers of "repeat"`)
	}
	if len(h.Statuses) == 0 {
		return
	}
	at := c.keyOrigin(path + ".statuses")
	if h.Parallel == 0 {
		out.add(at, path+`: "statuses" counts the answers of "parallel"`)
		return
	}
	for _, k := range c.given(path+".expect", "status", "json", "contains", "matches", "headers") {
		out.add(c.keyOrigin(path+".expect."+k), fmt.Sprintf("%s: \"statuses\" says what must come; of \"expect\" only \"within\" goes with it, not %q", path, k))
	}
	sum := 0
	for _, n := range h.Statuses {
		count, _ := strconv.Atoi(n) // its rule says what is wrong with it
		sum += count
	}
	if sum != h.Parallel {
		out.add(at, fmt.Sprintf("%s: statuses are %d in all, and parallel is %d", path, sum, h.Parallel))
	}
}

// fillChecks sets what nobody set in the checks.
func (c *Config) fillChecks() {
	for i := range c.Checks.HTTP {
		h, path := &c.Checks.HTTP[i], fmt.Sprintf("checks.http[%d]", i)
		h.Method = cmp.Or(h.Method, http.MethodGet)
		h.Timeout = cmp.Or(h.Timeout, 10*time.Second)
		if h.reads() && !c.configured(path+".retries") { // 0 is a choice
			h.Retries = 2
		}
		if h.reads() && !c.configured(path+".pause") {
			h.Pause = 2 * time.Second
		}
	}
	for i := range c.Checks.Logs {
		l := &c.Checks.Logs[i]
		if l.Absent != "" {
			l.Within = cmp.Or(l.Within, 10*time.Second)
		}
		l.Within = cmp.Or(l.Within, time.Minute)
	}
}

// hideChecks hides what checks send, and URLs that may hold a secret.
func hideChecks(src *source, checks *node) {
	if checks == nil {
		return
	}
	for _, item := range checks.items {
		src.hide(item.get("headers"))
		src.hide(item.get("body"))
		if u := item.get("url"); u != nil && strings.ContainsAny(u.text, "?@") {
			src.hide(u)
		}
	}
}

// publicHeaders are no secrets, whatever they say.
var publicHeaders = []string{"accept", "accept-encoding", "accept-language", "cache-control", "content-type", "host", "user-agent"}

// secretValues are the values of headers, and what of the URL is a secret.
func (h HTTPCheck) secretValues() []string {
	out := passwordOf(h.URL)
	for name, v := range h.Headers {
		if !slices.Contains(publicHeaders, strings.ToLower(name)) {
			out = append(out, HeaderSecrets(v)...)
		}
	}
	if u, err := url.Parse(h.URL); err == nil {
		for name, values := range u.Query() {
			if redact.SecretName(name) {
				out = append(out, values...)
			}
		}
	}
	return out
}

// HeaderSecrets are the forms in which the value of a header is secret: as a
// whole, and what follows the scheme ("Bearer …"); around our own placeholders,
// every part that is long enough for a secret.
func HeaderSecrets(v string) []string {
	const long = 8
	if parts := placeholder.Split(v, -1); len(parts) > 1 {
		return slices.DeleteFunc(parts, func(p string) bool { return len(strings.TrimSpace(p)) < long })
	}
	if _, credentials, ok := strings.Cut(v, " "); ok {
		return []string{v, credentials}
	}
	return []string{v}
}

// placeholder is what a check fills in: see docs/configuration.md.
var placeholder = regexp.MustCompile(`\{\{\.[A-Za-z]*\}\}`)

var knownPlaceholders = []string{"{{.Random}}", "{{.Number}}"}

// placeholders refuses those that a check does not know. The text around them may
// be secret, and is not repeated.
var placeholders = ruleFunc(func(s string) error {
	for _, p := range placeholder.FindAllString(s, -1) {
		if !slices.Contains(knownPlaceholders, p) {
			return &hinted{fmt.Errorf("%s is no placeholder of a check", p), "there are: " + strings.Join(knownPlaceholders, ", ")}
		}
	}
	return nil
})

var checkURL = ruleFunc(func(s string) error {
	if err := placeholders(s); err != nil {
		return err
	}
	return webURL.judge(placeholder.ReplaceAllString(s, "0"))
})

var headerName = like(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`, "a header's name")

var headerValue = ruleFunc(func(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return errors.New("a header's value cannot hold line breaks and control characters")
	}
	return placeholders(s)
})

var expression = ruleFunc(func(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("must not be empty")
	}
	if _, err := regexp.Compile(s); err != nil {
		return fmt.Errorf("want a regular expression (RE2), have %s: %w", quote(s), err)
	}
	return nil
})

var jsonPath = ruleFunc(func(s string) error {
	if _, err := jsonpath.Parse(s); err != nil {
		return fmt.Errorf("%s is no path into JSON: %w", quote(s), err)
	}
	return nil
})
