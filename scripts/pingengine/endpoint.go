package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// defaultHost is where an engine listens when nobody says otherwise.
const defaultHost = "unix:///var/run/docker.sock"

// endpoint is where an engine is looked for.
type endpoint struct {
	host   string // unix:///…, tcp://…
	from   string // " (DOCKER_HOST)", for people; empty for the default
	chosen bool   // by the user
}

// resolve follows the order of the docker command line: DOCKER_HOST,
// DOCKER_CONTEXT, the current context of config.json, the default socket.
func resolve(getenv func(string) string) (endpoint, error) {
	if host := getenv("DOCKER_HOST"); host != "" {
		return endpoint{host, " (DOCKER_HOST)", host != defaultHost}, nil
	}
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(getenv("HOME"), ".docker")
	}
	name := getenv("DOCKER_CONTEXT")
	if name == "" {
		name = currentContext(dir)
	}
	if name == "" || name == "default" {
		return endpoint{host: defaultHost}, nil
	}
	host, err := contextHost(dir, name)
	if err != nil {
		return endpoint{}, fmt.Errorf("read the Docker context %q: %w", name, err)
	}
	return endpoint{host, fmt.Sprintf(" (context %s)", name), host != defaultHost}, nil
}

// currentContext is empty when there is no config.json or it names none.
func currentContext(dir string) string {
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return ""
	}
	var config struct{ CurrentContext string }
	if json.Unmarshal(raw, &config) != nil {
		return ""
	}
	return config.CurrentContext
}

// contextHost reads a context where the docker command line keeps it: under the
// SHA-256 of its name.
func contextHost(dir, name string) (string, error) {
	sum := sha256.Sum256([]byte(name))
	raw, err := os.ReadFile(filepath.Join(dir, "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("there is no such context")
	}
	if err != nil {
		return "", err
	}
	var meta struct {
		Endpoints struct {
			Docker struct{ Host string } `json:"docker"`
		}
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		return "", err
	}
	return meta.Endpoints.Docker.Host, nil
}

// target is what net.Dial wants.
type target struct{ network, address string }

// dialer says how to reach e: the address to dial, http or https, and the
// certificates for the latter (DOCKER_TLS_VERIFY, DOCKER_CERT_PATH).
func (e endpoint) dialer(getenv func(string) string) (target, string, *tls.Config, error) {
	u, err := url.Parse(e.host)
	if err != nil {
		return target{}, "", nil, err
	}
	switch u.Scheme {
	case "unix":
		return target{"unix", u.Path}, "http", nil, nil
	case "tcp":
		if getenv("DOCKER_TLS_VERIFY") == "" {
			return target{"tcp", u.Host}, "http", nil, nil
		}
		config, err := certificates(getenv("DOCKER_CERT_PATH"), u.Hostname())
		return target{"tcp", u.Host}, "https", config, err
	default:
		return target{}, "", nil, fmt.Errorf("the demo and the tests want an engine on this machine, reached by unix:// or tcp://, not %s: the sandbox's registry listens on loopback", u.Scheme)
	}
}

// certificates loads ca.pem, cert.pem and key.pem, as dockerd's documentation
// names them.
func certificates(dir, server string) (*tls.Config, error) {
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, err
	}
	return &tls.Config{ServerName: server, RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
