package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// Reasons why a sandbox cannot listen.
var (
	ErrPortTaken   = errors.New("the port is taken")
	ErrNotLoopback = errors.New("not a loopback address")
	ErrNoAddress   = errors.New("the system refuses the address")
)

// wsaAddressInUse is what Windows calls EADDRINUSE.
const wsaAddressInUse = syscall.Errno(10048)

// listen opens the listener. Only IPv4 addresses will do, since one of IPv6 is no
// registry name for older engines, and only those of loopback unless anywhere: what
// is here has no passwords.
func listen(address string, anywhere bool) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", address, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Is4() || !ip.IsLoopback() && !anywhere {
		return nil, fmt.Errorf("listen on %q: %w, such as 127.0.0.1", address, ErrNotLoopback)
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsaAddressInUse) {
		return nil, fmt.Errorf("listen on %s: %w", address, ErrPortTaken)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w: %w", address, ErrNoAddress, err)
	}
	return listener, nil
}
