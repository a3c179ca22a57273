package check

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// fault is a request that got no whole answer.
type fault struct {
	request *http.Request
	timeout time.Duration
	proxy   string // that the request goes through
	status  int    // when the answer had begun
	read    int    // bytes of the body that came
	err     error
}

func (f *fault) Error() string {
	_, text := f.name()
	return text
}

func (f *fault) Unwrap() error { return f.err }

// name says what went wrong: the code, and the words for it.
func (f *fault) name() (event.Code, string) {
	err := f.err
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err // without the URL, which may hold a secret
	}
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case f.request == nil:
		return event.CodeCheckFailed, "the request cannot be made: " + err.Error()
	case errors.Is(err, errRedirects):
		return event.CodeCheckFailed, err.Error()
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return event.CodeCheckUnreachable, fmt.Sprintf("the proxy %s cannot be reached: %v", f.proxy, op.Err)
	case errors.As(err, &dns):
		return event.CodeCheckDNS, fmt.Sprintf("the name %s does not resolve: %s", dns.Name, dns.Err)
	case errors.As(err, &op) && op.Op == "dial" && isTimeout(err):
		return event.CodeCheckUnreachable, fmt.Sprintf("no connection within %s", min(f.timeout, dialTimeout))
	case isTimeout(err):
		return event.CodeCheckTimeout, f.late()
	case isTLS(err):
		return event.CodeCheckTLS, "no secure connection: " + strings.TrimPrefix(err.Error(), "tls: ")
	case f.status != 0:
		return event.CodeCheckFailed, f.broken(err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return event.CodeCheckUnreachable, "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return event.CodeCheckUnreachable, "the connection was closed without an answer"
	case errors.As(err, &op):
		return event.CodeCheckUnreachable, "no connection: " + err.Error()
	}
	if f.proxy != "" {
		return event.CodeCheckUnreachable, fmt.Sprintf("the proxy %s does not let it through: %s", f.proxy, excerpt(err.Error()))
	}
	return event.CodeCheckFailed, "no answer that is HTTP: " + excerpt(err.Error())
}

// late says how far the answer had come when the time was up.
func (f *fault) late() string {
	if f.status == 0 {
		return fmt.Sprintf("no answer within %s", f.timeout)
	}
	return fmt.Sprintf("status %d, and its body did not end within %s (%d bytes came)", f.status, f.timeout, f.read)
}

func (f *fault) broken(err error) string {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return fmt.Sprintf("status %d, and its body is not the gzip that it is called", f.status)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Sprintf("status %d, and its body broke off after %d bytes", f.status, f.read)
	}
	return fmt.Sprintf("status %d, and its body cannot be read: %s", f.status, excerpt(err.Error()))
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

func isTLS(err error) bool {
	var (
		chain     *tls.CertificateVerificationError
		alert     tls.AlertError
		record    tls.RecordHeaderError
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
	)
	return errors.As(err, &chain) || errors.As(err, &alert) || errors.As(err, &record) || errors.As(err, &host) || errors.As(err, &authority) ||
		errors.Is(err, http.ErrSchemeMismatch) || strings.Contains(err.Error(), "tls: ")
}

// hints are what usually mends a fault.
func hints(code event.Code) []string {
	switch code {
	case event.CodeCheckDNS:
		return []string{"look at the host in the check's url, and whether this machine can resolve it"}
	case event.CodeCheckUnreachable:
		return []string{"look whether this machine may reach the service: security groups, firewalls, HTTPS_PROXY and NO_PROXY"}
	case event.CodeCheckTLS:
		return []string{"look at the certificate that the host shows, and at the scheme in the check's url"}
	case event.CodeCheckTimeout:
		return []string{"give it longer with the check's timeout, if that is how long it takes"}
	}
	return nil
}
