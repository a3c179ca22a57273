package engine

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	dcontext "github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/store"
)

// TestMain lets the test binary stand in for the system's ssh: started under
// that name it connects its standard streams to the engine's socket, as
// `ssh HOST docker system dial-stdio` does.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "ssh" {
		os.Exit(fakeSSH())
	}
	os.Exit(m.Run())
}

func fakeSSH() int {
	if !strings.Contains(strings.Join(os.Args, " "), "docker system dial-stdio") {
		return 2
	}
	c, err := net.Dial("unix", os.Getenv("FAKE_SSH_SOCKET"))
	if err != nil {
		return 255
	}
	go func() {
		io.Copy(c, os.Stdin)
		c.(*net.UnixConn).CloseWrite()
	}()
	io.Copy(os.Stdout, c)
	return 0
}

// environment is a Getenv of a map, with a docker configuration in a new folder.
func environment(t *testing.T, vars map[string]string) func(string) string {
	t.Helper()
	env := map[string]string{"DOCKER_CONFIG": t.TempDir()}
	for k, v := range vars {
		env[k] = v
	}
	return func(k string) string { return env[k] }
}

func configure(t *testing.T, getenv func(string) string, json string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(getenv("DOCKER_CONFIG"), "config.json"), []byte(json), 0o600); err != nil {
		t.Fatal(err)
	}
}

// addContext writes a context as `docker context create` does.
func addContext(t *testing.T, getenv func(string) string, name, host string, data *dcontext.TLSData) {
	t.Helper()
	st := store.New(filepath.Join(getenv("DOCKER_CONFIG"), "contexts"), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(endpointKind, func() any { return &dcontext.EndpointMetaBase{} })))
	err := st.CreateOrUpdate(store.Metadata{Name: name, Endpoints: map[string]any{endpointKind: dcontext.EndpointMetaBase{Host: host}}})
	if err != nil {
		t.Fatal(err)
	}
	if data != nil {
		if err := st.ResetEndpointTLSMaterial(name, endpointKind, data.ToStoreTLSData()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResolve_Order(t *testing.T) {
	for _, c := range []struct {
		name, on, config string
		vars             map[string]string
		host, from       string
	}{
		{name: "nothing is set", host: "unix:///var/run/docker.sock", from: "default"},
		{name: "docker means the command's own choice", on: "docker", config: `{"currentContext":"ci"}`, host: "tcp://ci:2375", from: `docker context "ci"`},
		{name: "the current context", config: `{"currentContext":"ci"}`, host: "tcp://ci:2375", from: `docker context "ci"`},
		{name: "the current context is the default one", config: `{"currentContext":"default"}`, host: "unix:///var/run/docker.sock", from: "default"},
		{name: "DOCKER_CONTEXT before the current context", config: `{"currentContext":"ci"}`, vars: map[string]string{"DOCKER_CONTEXT": "lab"}, host: "ssh://me@lab", from: `docker context "lab"`},
		{name: "DOCKER_HOST before DOCKER_CONTEXT", vars: map[string]string{"DOCKER_CONTEXT": "lab", "DOCKER_HOST": "unix:///run/user/1000/docker.sock"}, host: "unix:///run/user/1000/docker.sock", from: "DOCKER_HOST"},
		{name: "a context by name before DOCKER_HOST", on: "lab", vars: map[string]string{"DOCKER_HOST": "tcp://other:1"}, host: "ssh://me@lab", from: `docker context "lab"`},
		{name: "an address before all", on: "ssh://you@host:22", vars: map[string]string{"DOCKER_HOST": "tcp://other:1"}, host: "ssh://you@host:22", from: "ssh://you@host:22"},
		{name: "an address without scheme or port", vars: map[string]string{"DOCKER_HOST": "build.example"}, host: "tcp://build.example:2375", from: "DOCKER_HOST"},
		{name: "an address without port", on: "tcp://build.example", host: "tcp://build.example:2375", from: "tcp://build.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			getenv := environment(t, c.vars)
			if c.config != "" {
				configure(t, getenv, c.config)
			}
			addContext(t, getenv, "ci", "tcp://ci:2375", nil)
			addContext(t, getenv, "lab", "ssh://me@lab", nil)
			e, err := Open(Options{On: c.on, Getenv: getenv})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if e.Endpoint() != c.host || e.From() != c.from {
				t.Errorf("Open = %s from %s, want %s from %s", e.Endpoint(), e.From(), c.host, c.from)
			}
			if local := strings.HasPrefix(c.host, "unix:"); e.Local() != local {
				t.Errorf("Local = %v, want %v", e.Local(), local)
			}
		})
	}
}

func TestResolve_Refuses(t *testing.T) {
	for _, c := range []struct {
		name, on, config string
		vars             map[string]string
		want             string
	}{
		{name: "an unknown context, naming those that exist", on: "nowhere", want: "there are: ci, default"},
		{name: "an unknown current context", config: `{"currentContext":"gone"}`, want: `docker context "gone"`},
		{name: "a broken config.json", config: `{"currentContext":`, want: "config.json"},
		{name: "an address without a host", on: "tcp://", want: "names no host"},
		{name: "an ssh address with a password", on: "ssh://me:secret@host", want: "ssh"},
		{name: "certificates that are not there", on: "tcp://h:2376", vars: map[string]string{"DOCKER_CERT_PATH": "/nonexistent"}, want: "DOCKER_CERT_PATH"},
		{name: "a scheme that nothing speaks", on: "gopher", want: `docker context "gopher"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			getenv := environment(t, c.vars)
			if c.config != "" {
				configure(t, getenv, c.config)
			}
			addContext(t, getenv, "ci", "tcp://ci:2375", nil)
			_, err := Open(Options{On: c.on, Getenv: getenv})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open = %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestResolve_WithoutAHome is what some CI containers are.
func TestResolve_WithoutAHome(t *testing.T) {
	t.Setenv("HOME", "")
	for on, want := range map[string]string{"": "unix:///var/run/docker.sock", "tcp://h:1": "tcp://h:1"} {
		e, err := Open(Options{On: on, Getenv: func(string) string { return "" }})
		if err != nil || e.Endpoint() != want {
			t.Errorf("Open(%q) = %v, %v; want %s", on, e, err, want)
		}
	}
	if _, err := Open(Options{On: "ci", Getenv: func(string) string { return "" }}); err == nil || !strings.Contains(err.Error(), "HOME") {
		t.Errorf("Open of a context = %v, want HOME named", err)
	}
}

func TestInfo_Unreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, c := range []struct{ name, on, hint string }{
		{"a socket that is not there", "unix://" + filepath.Join(t.TempDir(), "docker.sock"), "start the engine"},
		{"a port that nobody listens on", "tcp://" + closed.Addr().String(), "docker -H tcp://" + closed.Addr().String() + " version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := Open(Options{On: c.on, Getenv: environment(t, nil)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Info(t.Context())
			var u *UnreachableError
			if !errors.Is(err, ErrUnreachable) || !errors.As(err, &u) {
				t.Fatalf("Info = %v, want ErrUnreachable", err)
			}
			if !strings.Contains(err.Error(), c.on) || len(u.Hints) == 0 || !strings.Contains(u.Hints[0], c.hint) {
				t.Errorf("Info = %v with hints %q; want %s and %q", err, u.Hints, c.on, c.hint)
			}
			if _, err := e.DialHijack(t.Context(), "/grpc", "h2c", nil); !errors.Is(err, ErrUnreachable) {
				t.Errorf("DialHijack = %v, want ErrUnreachable", err)
			}
		})
	}
}

func TestDialHijack_EndsWithContext(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "mute.sock")) // accepts, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e, err := Open(Options{On: "unix://" + l.Addr().String(), Getenv: environment(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		c, err := l.Accept()
		if err == nil {
			defer c.Close()
			c.Read(make([]byte, 1))
			cancel()
			<-t.Context().Done()
		}
	}()
	if _, err := e.DialHijack(ctx, "/grpc", "h2c", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("DialHijack = %v, want cancelled", err)
	}
}

func TestOpen_SSH(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "ssh")); err != nil {
		t.Fatal(err)
	}
	srv := fakeEngine(t, nil)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("FAKE_SSH_SOCKET", srv)
	e, err := Open(Options{On: "ssh://me@builder", Getenv: environment(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	info, err := e.Info(t.Context())
	if err != nil || info.Arch != "arm64" || e.Local() {
		t.Errorf("Info over ssh = %+v, %v, local %v", info, err, e.Local())
	}
	t.Setenv("FAKE_SSH_SOCKET", "/nonexistent")
	e2, err := Open(Options{On: "ssh://me@builder", Getenv: environment(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e2.Info(t.Context())
	var u *UnreachableError
	if !errors.As(err, &u) || !strings.Contains(u.Hints[0], "ssh me@builder docker version") {
		t.Errorf("Info over a broken ssh = %v, want unreachable with the command to check", err)
	}
}

// fakeEngine answers what Info asks, as an arm64 engine, and returns its socket;
// with certs it listens on TCP with TLS instead and returns its address.
func fakeEngine(t *testing.T, certs *tls.Config) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("GET /v1.41/version", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"Version":"20.10.24","Os":"linux","Arch":"arm64"}`)
	})
	mux.HandleFunc("GET /v1.41/info", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"Architecture":"aarch64","NCPU":3,"MemTotal":77,"Name":"vm","OperatingSystem":"Docker Desktop",
			"RegistryConfig":{"InsecureRegistryCIDRs":["127.0.0.0/8"],"IndexConfigs":{"docker.io":{"Secure":true},"host.docker.internal:8477":{"Secure":false}}},
			"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`)
	})
	srv := httptest.NewUnstartedServer(mux)
	if certs == nil {
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "docker.sock"))
		if err != nil {
			t.Fatal(err)
		}
		srv.Listener.Close()
		srv.Listener = l
		srv.Start()
	} else {
		srv.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are wanted
		srv.TLS = certs
		srv.StartTLS()
	}
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestInfo(t *testing.T) {
	e, err := Open(Options{On: "unix://" + fakeEngine(t, nil), Getenv: environment(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got, err := e.Info(t.Context())
	want := Info{
		Version: "20.10.24", APIVersion: "1.41", OS: "linux", Arch: "arm64", OperatingSystem: "Docker Desktop", Name: "vm",
		CPUs: 3, MemoryBytes: 77, ContainerdStore: true,
		InsecureRegistries: []string{"127.0.0.0/8", "host.docker.internal:8477"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Info = %+v, %v; want %+v", got, err, want)
	}
}

func TestOpen_TLS(t *testing.T) {
	ca, server, cert, key := certificates(t)
	addr := fakeEngine(t, server)
	dir := t.TempDir()
	for name, b := range map[string][]byte{"ca.pem": ca, "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		data *dcontext.TLSData
		vars map[string]string
		ok   bool
	}{
		{"a context with certificates", &dcontext.TLSData{CA: ca, Cert: cert, Key: key}, map[string]string{"DOCKER_CONTEXT": "x"}, true},
		{"a context without a client certificate", &dcontext.TLSData{CA: ca}, map[string]string{"DOCKER_CONTEXT": "x"}, false},
		{"a context without certificates", nil, map[string]string{"DOCKER_CONTEXT": "x"}, false},
		{"DOCKER_CERT_PATH", nil, map[string]string{"DOCKER_HOST": "tcp://" + addr, "DOCKER_CERT_PATH": dir, "DOCKER_TLS_VERIFY": "1"}, true},
		{"DOCKER_TLS_VERIFY with the certificates in the configuration folder", nil, map[string]string{"DOCKER_HOST": "tcp://" + addr, "DOCKER_CONFIG": dir, "DOCKER_TLS_VERIFY": "1"}, true},
		{"no certificates", nil, map[string]string{"DOCKER_HOST": "tcp://" + addr}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			getenv := environment(t, c.vars)
			addContext(t, getenv, "x", "tcp://"+addr, c.data)
			e, err := Open(Options{Getenv: getenv})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			info, err := e.Info(t.Context())
			if ok := err == nil && info.Arch == "arm64"; ok != c.ok {
				t.Errorf("Info = %+v, %v; want it to work: %v", info, err, c.ok)
			}
		})
	}
}

// certificates makes an authority, a server that asks for client certificates,
// and a client's certificate and key.
func certificates(t *testing.T) (ca []byte, server *tls.Config, cert, key []byte) {
	t.Helper()
	issue := func(tmpl, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = k
		}
		tmpl.SerialNumber, tmpl.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &k.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, k
	}
	encode := func(kind string, der []byte) []byte {
		var b bytes.Buffer
		pem.Encode(&b, &pem.Block{Type: kind, Bytes: der})
		return b.Bytes()
	}
	root := &x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, rootKey := issue(root, root, nil)
	leaf := func(use x509.ExtKeyUsage) ([]byte, *ecdsa.PrivateKey) {
		return issue(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{use}}, root, rootKey)
	}
	serverDER, serverKey := leaf(x509.ExtKeyUsageServerAuth)
	clientDER, clientKey := leaf(x509.ExtKeyUsageClientAuth)
	keyDER, err := x509.MarshalECPrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	ca = encode("CERTIFICATE", rootDER)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	server = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{serverDER}, PrivateKey: serverKey}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}
	return ca, server, encode("CERTIFICATE", clientDER), encode("EC PRIVATE KEY", keyDER)
}
