package check

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What a request may cost, whatever the server does.
const (
	maxBody      = 1 << 20 // of the answer, after it was unpacked
	maxHeader    = 64 << 10
	maxRedirects = 5
	dialTimeout  = 5 * time.Second
)

// Client makes requests. The zero value goes through the proxies of the
// environment and trusts the system's certificates.
//
// Every request has a connection of its own: one that was opened before a
// deployment may lead to what is being replaced.
type Client struct {
	Proxy func(*http.Request) (*url.URL, error) // nil: HTTP_PROXY, HTTPS_PROXY, NO_PROXY
	Roots *x509.CertPool                        // nil: the system's
}

func (c Client) proxy(r *http.Request) (*url.URL, error) {
	if c.Proxy != nil {
		return c.Proxy(r)
	}
	return http.ProxyFromEnvironment(r)
}

func (c Client) transport() *http.Transport {
	return &http.Transport{
		Proxy:                  c.proxy,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// call is one request of a check.
type call struct {
	HTTP
	fill *strings.Replacer
	gate *ticket // nil: it does not wait for others
}

// ask sends one request and reads the answer. Its error is a *fault.
func (c Client) ask(ctx context.Context, h call) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout())
	defer cancel()
	req, err := h.make(ctx)
	if err != nil {
		return Answer{}, &fault{err: err}
	}
	f := &fault{request: req, timeout: h.timeout()}
	if via, err := c.proxy(req); err == nil && via != nil {
		f.proxy = shown(via)
	}
	began := time.Now()
	transport := c.transport()
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, CheckRedirect: h.redirect}).Do(req)
	if err != nil {
		f.err = err
		return Answer{}, f
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		f.err, f.status, f.read = err, res.StatusCode, len(body)
		return Answer{}, f
	}
	a := Answer{Status: res.StatusCode, Header: res.Header, Body: body, Took: time.Since(h.gate.opened(began))}
	if a.Cut = len(body) > maxBody; a.Cut {
		a.Body = body[:maxBody]
	}
	if last := res.Request.URL; !sameOrigin(last, req.URL) || last.Path != req.URL.Path {
		a.From = shown(last)
	}
	return a, nil
}

// make makes the request of the call.
func (h call) make(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	sent := []byte(h.fill.Replace(string(h.Body)))
	if len(sent) > 0 {
		body = bytes.NewReader(sent)
		if h.gate != nil {
			body = &held{rest: bytes.NewReader(sent), wait: func() error { return h.gate.pass(ctx) }}
		}
	}
	req, err := http.NewRequestWithContext(ctx, h.method(), h.fill.Replace(h.URL), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(sent))
	req.Header.Set("User-Agent", "weelo-deploy")
	for name, value := range h.Header {
		req.Header.Set(name, h.fill.Replace(value))
		if strings.EqualFold(name, "Host") {
			req.Host = h.fill.Replace(value)
		}
	}
	return req, nil
}

var errRedirects = errors.New("redirected too often")

// redirect follows the redirects of a request that reads, unless they are what
// is expected. To another host, or from https to http, none of the configured
// headers go, and never the URL that led there: both may hold a secret.
func (h call) redirect(req *http.Request, via []*http.Request) error {
	wanted := slices.ContainsFunc(h.Expect.Status, func(s int) bool { return s >= 300 && s <= 399 })
	switch {
	case !h.Reads() || wanted:
		return http.ErrUseLastResponse
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d times, at last to %s", errRedirects, maxRedirects, shown(req.URL))
	}
	req.Header.Del("Referer")
	if !sameOrigin(req.URL, via[0].URL) {
		for name := range h.Header {
			req.Header.Del(name)
		}
		req.Host = ""
	}
	return nil
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Host, b.Host)
}
