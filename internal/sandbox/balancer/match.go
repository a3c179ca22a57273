package balancer

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Fields of conditions.
const (
	pathPattern = "path-pattern"
	hostHeader  = "host-header"
	httpHeader  = "http-header"
	method      = "http-request-method"
	queryString = "query-string"
	sourceIP    = "source-ip"
)

// ruleFor is the first rule of a listener, by priority, that applies to a
// request; the default rule comes last.
func (b *Balancer) ruleFor(l *listener, r *http.Request) *rule {
	var chosen *rule
	for _, candidate := range b.rules {
		if candidate.Listener != l.ARN || len(candidate.Actions) == 0 {
			continue
		}
		if (chosen == nil || before(candidate, chosen)) && candidate.applies(r) {
			chosen = candidate
		}
	}
	return chosen
}

// before says whether a rule is tried before another one.
func before(a, b *rule) bool {
	return a.Priority != 0 && (b.Priority == 0 || a.Priority < b.Priority)
}

// applies reports whether a request has all that a rule asks for.
func (r *rule) applies(req *http.Request) bool {
	return !slices.ContainsFunc(r.Conditions, func(c Condition) bool { return !c.applies(req) })
}

func (c Condition) applies(r *http.Request) bool {
	any := func(is func(string) bool) bool { return slices.ContainsFunc(c.Values, is) }
	switch c.Field {
	case pathPattern:
		return any(func(v string) bool { return like(v, r.URL.Path) })
	case hostHeader:
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		return any(func(v string) bool { return like(strings.ToLower(v), strings.ToLower(host)) })
	case httpHeader:
		return slices.ContainsFunc(r.Header.Values(c.Header), func(have string) bool {
			return any(func(v string) bool { return like(strings.ToLower(v), strings.ToLower(have)) })
		})
	case method:
		return any(func(v string) bool { return v == r.Method })
	case queryString:
		return slices.ContainsFunc(c.Query, func(p Pair) bool { return p.in(r) })
	case sourceIP:
		return any(func(v string) bool { return within(v, r.RemoteAddr) })
	}
	return false
}

// in reports whether a request's query has the pair, without regard to case.
func (p Pair) in(r *http.Request) bool {
	for k, values := range r.URL.Query() {
		if p.Key != "" && !like(strings.ToLower(p.Key), strings.ToLower(k)) {
			continue
		}
		if slices.ContainsFunc(values, func(v string) bool { return like(strings.ToLower(p.Value), strings.ToLower(v)) }) {
			return true
		}
	}
	return false
}

func within(cidr, remote string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddrPort(remote)
	return err == nil && prefix.Contains(addr.Addr())
}

// like compares a text with a pattern in which * stands for any characters and ?
// for one. It takes time in proportion to the product of their lengths.
func like(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			p, mark = star+1, mark+1
			t = mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// answer carries out an action that needs no target, and returns the status. A
// forward action has found none.
func answer(w http.ResponseWriter, r *http.Request, l *listener, a Action) int {
	switch a.Type {
	case FixedResponse:
		status, err := strconv.Atoi(a.Status)
		if err != nil {
			status = http.StatusInternalServerError
		}
		if a.ContentType != "" {
			w.Header().Set("Content-Type", a.ContentType)
		}
		w.Header().Set("Server", "awselb/2.0")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(a.Message)) // a client that has gone does not need it
		return status
	case Redirect:
		status := http.StatusMovedPermanently
		if a.Status == "HTTP_302" {
			status = http.StatusFound
		}
		w.Header().Set("Location", location(r, l, a))
		w.Header().Set("Server", "awselb/2.0")
		w.WriteHeader(status)
		return status
	}
	writeError(w, http.StatusServiceUnavailable)
	return http.StatusServiceUnavailable
}

// location is where a redirect leads. What it does not say is the request's.
func location(r *http.Request, l *listener, a Action) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	replace := strings.NewReplacer("#{protocol}", strings.ToLower(l.Protocol), "#{host}", host,
		"#{port}", strconv.Itoa(l.Port), "#{path}", strings.TrimPrefix(r.URL.EscapedPath(), "/"), "#{query}", r.URL.RawQuery)
	or := func(v, otherwise string) string {
		if v == "" {
			v = otherwise
		}
		return replace.Replace(v)
	}
	to := strings.ToLower(or(a.Protocol, "#{protocol}")) + "://" + or(a.Host, "#{host}") + ":" + or(a.Port, "#{port}") + or(a.Path, "/#{path}")
	if q := or(a.Query, "#{query}"); q != "" {
		to += "?" + q
	}
	return to
}
