package engine

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli/connhelper"
	dcontext "github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/tlsconfig"
)

// fromDefault is the origin of the address that is used when nothing names one.
const fromDefault = "default"

// endpointKind is the name under which a context keeps its engine's address
// (docker/cli, cli/context/docker).
const endpointKind = "docker"

// endpoint is where an engine is, and how to be let in.
type endpoint struct {
	host string // with a scheme
	from string // for people
	tls  *tls.Config
}

// resolve finds the endpoint in the order of the docker command: what was asked
// for, DOCKER_HOST, DOCKER_CONTEXT, the current context, the default socket.
func resolve(on string, getenv func(string) string) (endpoint, error) {
	dir := ConfigDir(getenv)
	switch {
	case strings.Contains(on, "://"):
		return addressed(on, on, dir, getenv)
	case on != "" && on != "docker":
		return fromContext(on, dir, getenv)
	case getenv("DOCKER_HOST") != "":
		return addressed(getenv("DOCKER_HOST"), "DOCKER_HOST", dir, getenv)
	case getenv("DOCKER_CONTEXT") != "":
		return fromContext(getenv("DOCKER_CONTEXT"), dir, getenv)
	}
	current, err := currentContext(dir)
	if err != nil {
		return endpoint{}, err
	}
	return fromContext(current, dir, getenv)
}

// ConfigDir is the docker command's configuration folder. It is empty where
// nothing tells a home folder, as in some CI containers.
func ConfigDir(getenv func(string) string) string {
	if d := getenv("DOCKER_CONFIG"); d != "" {
		return d
	}
	home := getenv("HOME")
	if home == "" {
		var err error
		if home, err = os.UserHomeDir(); err != nil {
			return ""
		}
	}
	return filepath.Join(home, ".docker")
}

// currentContext reads currentContext of config.json; "" when there is none.
func currentContext(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the docker configuration: %w", err)
	}
	var c struct {
		CurrentContext string `json:"currentContext"`
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return "", fmt.Errorf("read the docker configuration %s: %w", path, err)
	}
	return c.CurrentContext, nil
}

// fromContext reads a named context. The default one is the default socket, or
// DOCKER_HOST where that is set.
func fromContext(name, dir string, getenv func(string) string) (endpoint, error) {
	if name == "" || name == "default" {
		if h := getenv("DOCKER_HOST"); h != "" {
			return addressed(h, "DOCKER_HOST", dir, getenv)
		}
		return addressed(client.DefaultDockerHost, fromDefault, dir, getenv)
	}
	if dir == "" {
		return endpoint{}, fmt.Errorf("docker context %q: there is no home folder to find it in (HOME is not set)", name)
	}
	st := store.New(filepath.Join(dir, "contexts"), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(endpointKind, func() any { return &dcontext.EndpointMetaBase{} })))
	md, err := st.GetMetadata(name)
	if err != nil {
		return endpoint{}, fmt.Errorf("docker context %q: %w%s", name, err, known(st))
	}
	meta, ok := md.Endpoints[endpointKind].(dcontext.EndpointMetaBase)
	if !ok || meta.Host == "" {
		return endpoint{}, fmt.Errorf("docker context %q names no docker engine", name)
	}
	data, err := dcontext.LoadTLSData(st, name, endpointKind)
	if err != nil {
		return endpoint{}, fmt.Errorf("docker context %q: %w", name, err)
	}
	ep := endpoint{host: meta.Host, from: fmt.Sprintf("docker context %q", name)}
	if data != nil || meta.SkipTLSVerify {
		if ep.tls, err = contextTLS(data, meta.SkipTLSVerify); err != nil {
			return endpoint{}, fmt.Errorf("docker context %q: %w", name, err)
		}
	}
	return ep, nil
}

// known lists the contexts that exist, for the error that misses one.
func known(st store.Lister) string {
	all, err := st.List()
	if err != nil || len(all) == 0 {
		return ""
	}
	names := []string{"default"}
	for _, md := range all {
		names = append(names, md.Name)
	}
	slices.Sort(names)
	return "; there are: " + strings.Join(names, ", ")
}

// contextTLS makes a client configuration of a context's certificates.
func contextTLS(data *dcontext.TLSData, skipVerify bool) (*tls.Config, error) {
	cfg := tlsconfig.ClientDefault()
	cfg.InsecureSkipVerify = skipVerify
	if data == nil {
		return cfg, nil
	}
	if data.CA != nil {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(data.CA) {
			return nil, errors.New("its ca.pem holds no certificate")
		}
	}
	if data.Cert != nil && data.Key != nil {
		pair, err := tls.X509KeyPair(data.Cert, data.Key)
		if err != nil {
			return nil, fmt.Errorf("read its client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// addressed is an endpoint that was given as an address. A tcp one is spoken
// to with TLS when DOCKER_TLS_VERIFY, DOCKER_CERT_PATH or DOCKER_TLS is set.
func addressed(host, from, dir string, getenv func(string) string) (endpoint, error) {
	if !strings.Contains(host, "://") {
		host = "tcp://" + host
	}
	ep := endpoint{host: host, from: from}
	if !strings.HasPrefix(host, "tcp://") {
		return ep, nil
	}
	verify := getenv("DOCKER_TLS_VERIFY") != "" || getenv("DOCKER_CERT_PATH") != ""
	secure := verify || getenv("DOCKER_TLS") != ""
	u, err := url.Parse(host)
	if err != nil || u.Hostname() == "" {
		return endpoint{}, fmt.Errorf("address %q names no host", host)
	}
	if u.Port() == "" {
		port := "2375" // the ports that the docker command assumes
		if secure {
			port = "2376"
		}
		u.Host = net.JoinHostPort(u.Hostname(), port)
		ep.host = u.String()
	}
	if !secure {
		return ep, nil
	}
	certs := getenv("DOCKER_CERT_PATH")
	if certs == "" {
		certs = dir
	}
	ep.tls, err = tlsconfig.Client(tlsconfig.Options{
		CAFile: filepath.Join(certs, "ca.pem"), CertFile: filepath.Join(certs, "cert.pem"), KeyFile: filepath.Join(certs, "key.pem"),
		InsecureSkipVerify: !verify, ExclusiveRootPools: true,
	})
	if err != nil {
		return endpoint{}, fmt.Errorf("read the certificates for %s (DOCKER_CERT_PATH): %w", host, err)
	}
	return ep, nil
}

// isSocket reports whether the address is on this machine by its scheme.
func (ep endpoint) isSocket() bool {
	scheme, _, _ := strings.Cut(ep.host, "://")
	return scheme == "unix" || scheme == "npipe" || scheme == "fd"
}

// clientOptions turns the endpoint into options of the client library:
// docker/cli makes such options for the library's successor only.
func (ep endpoint) clientOptions() ([]client.Opt, error) {
	helper, err := connhelper.GetConnectionHelper(ep.host)
	if err != nil {
		return nil, err
	}
	if helper != nil { // ssh: the system's own, as the docker command does
		return []client.Opt{
			client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: helper.Dialer}}),
			client.WithHost(helper.Host),
			client.WithDialContext(helper.Dialer),
		}, nil
	}
	var opts []client.Opt
	if ep.tls != nil && !ep.isSocket() {
		dialer := &net.Dialer{KeepAlive: 30 * time.Second, Timeout: 30 * time.Second}
		opts = append(opts, client.WithHTTPClient(&http.Client{
			Transport:     &http.Transport{TLSClientConfig: ep.tls, DialContext: dialer.DialContext},
			CheckRedirect: client.CheckRedirect,
		}))
	}
	return append(opts, client.WithHost(ep.host)), nil
}
