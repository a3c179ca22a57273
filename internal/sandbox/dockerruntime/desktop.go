package dockerruntime

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/engine"
)

// desktopHost is how what runs in Docker Desktop's virtual machine, its engine
// among it, reaches the machine around it: 127.0.0.1 is the virtual one there
// (Docker Desktop manual, "Networking how-tos"). What the engine publishes on
// 127.0.0.1 is on the machine around it all the same.
const desktopHost = "host.docker.internal"

// HostName is the name under which the engine reaches what listens on this
// machine's loopback, empty when that is 127.0.0.1.
func HostName(i engine.Info) string {
	if strings.HasPrefix(i.OperatingSystem, "Docker Desktop") {
		return desktopHost
	}
	return ""
}

// SpeaksHTTP reports whether the engine would speak plain HTTP to the registry at
// HOST:PORT. It does to addresses of loopback by itself, and to what its
// configuration lists as insecure-registries. A name that is not listed may still
// resolve to an address that is.
func SpeaksHTTP(i engine.Info, hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" || slices.Contains(i.InsecureRegistries, hostport) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	return ip.IsLoopback() || slices.ContainsFunc(i.InsecureRegistries, func(s string) bool {
		p, err := netip.ParsePrefix(s)
		return err == nil && p.Contains(ip)
	})
}
