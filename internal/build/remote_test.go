package build

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
)

// TestMain lets the test binary stand in for the system's ssh: started under
// that name it connects its standard streams to a socket, as
// `ssh HOST docker system dial-stdio` does.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "ssh" {
		os.Exit(fakeSSH())
	}
	os.Exit(m.Run())
}

func fakeSSH() int {
	if line := strings.Join(os.Args[1:], " "); !strings.Contains(line, "-l me") || !strings.HasSuffix(line, "-- builder docker system dial-stdio") {
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

// relay stands between us and the tests' engine, and counts the bytes that pass.
type relay struct {
	bytes atomic.Int64
	conns atomic.Int64
}

// serve relays every connection to the engine's socket.
func (r *relay) serve(t *testing.T, l net.Listener) {
	t.Helper()
	socket := strings.TrimPrefix(enginetest.Open(t).Endpoint(), "unix://")
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.conns.Add(1)
			go r.pipe(c, socket)
		}
	}()
}

func (r *relay) pipe(c net.Conn, socket string) {
	defer c.Close()
	e, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer e.Close()
	go func() {
		n, _ := io.Copy(e, c)
		r.bytes.Add(n)
		e.(*net.UnixConn).CloseWrite()
	}()
	n, _ := io.Copy(c, e)
	r.bytes.Add(n)
}

// TestRemoteEngine checks, builds and pushes over the ways to an engine that is
// not here. The image has 24 MiB that nothing compresses, made by a step of the
// build; none of them comes by.
func TestRemoteEngine(t *testing.T) {
	here := enginetest.Open(t)
	for _, c := range []struct {
		name string
		open func(t *testing.T, r *relay) *engine.Engine
	}{
		{"ssh", openSSH},
		{"tcp with TLS", openTLS},
		{"a docker context with TLS", openContext},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r relay
			e := c.open(t, &r)
			defer e.Close()
			if e.Local() {
				t.Errorf("%s counts as local", e.Endpoint())
			}
			req := project(t, here, "FROM scratch\nCOPY probe /\nRUN [\"/probe\", \"fill=/big:24\"]\n", map[string]string{})
			req.NoCache = true
			n, err := New(e).Check(t.Context(), req)
			if err != nil || !n.Native || !n.HasRun || "linux/"+n.Engine.Arch != n.Worker {
				t.Fatalf("Check = %+v, %v", n, err)
			}
			foreign := req
			if foreign.Platform = "linux/s390x"; n.Worker != foreign.Platform {
				if _, err := New(e).Check(t.Context(), foreign); event.FailuresOf(err)[0].Code != event.CodeEmulatedBuild {
					t.Errorf("Check for another machine = %v, want EMULATED_BUILD", err)
				}
			}
			sent := int64(len(enginetest.Probe(t, n.Engine.Arch)))
			res, steps := mustBuild(t, e, req)
			if !slices.Contains(steps, "| filled /big <nil>") {
				t.Errorf("steps = %q, want the file made", steps)
			}
			pushed(t, e, res.ImageID)
			e.Close()
			if got := r.bytes.Load(); got > sent+(4<<20) || r.conns.Load() == 0 {
				t.Errorf("%d bytes passed over %d connections, want little more than the context's %d", got, r.conns.Load(), sent)
			}
		})
	}
}

// pushed has the engine push the image, and asks the registry for it.
func pushed(t *testing.T, e *engine.Engine, id string) {
	t.Helper()
	reg := newRegistry(t)
	ref := reg.host + "/app:1"
	if err := e.Tag(t.Context(), id, ref); err != nil {
		t.Fatal(err)
	}
	enginetest.Remove(t, enginetest.Open(t), ref)
	digest, err := e.Push(t.Context(), ref, engine.Auth{}, func(engine.PushProgress) {})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(parsed)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 2 {
		t.Fatalf("pushed %d layers, %v", len(layers), err)
	}
	if d, err := img.Digest(); err != nil || d.String() != digest {
		t.Errorf("pushed %s, the engine said %s, %v", d, digest, err)
	}
	if size, err := layers[1].Size(); err != nil || size < 24<<20 {
		t.Errorf("the step's layer has %d bytes, %v; want 24 MiB", size, err)
	}
}

// openOn opens an engine with these variables and no others.
func openOn(t *testing.T, on string, vars map[string]string) *engine.Engine {
	t.Helper()
	if vars["DOCKER_CONFIG"] == "" {
		vars["DOCKER_CONFIG"] = t.TempDir()
	}
	e, err := engine.Open(engine.Options{On: on, Getenv: func(k string) string { return vars[k] }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func openSSH(t *testing.T, r *relay) *engine.Engine {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "ssh")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	r.serve(t, l)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("FAKE_SSH_SOCKET", l.Addr().String())
	return openOn(t, "ssh://me@builder", map[string]string{})
}

func openTLS(t *testing.T, r *relay) *engine.Engine {
	t.Helper()
	addr, certs := serveTLS(t, r)
	return openOn(t, "tcp://"+addr, map[string]string{"DOCKER_CERT_PATH": certs, "DOCKER_TLS_VERIFY": "1"})
}

// openContext opens a context as `docker context create` writes it (docker/cli,
// cli/context/store).
func openContext(t *testing.T, r *relay) *engine.Engine {
	t.Helper()
	addr, certs := serveTLS(t, r)
	config := t.TempDir()
	id := fmt.Sprintf("%x", sha256.Sum256([]byte("builder")))
	meta, tlsDir := filepath.Join(config, "contexts", "meta", id), filepath.Join(config, "contexts", "tls", id)
	for _, err := range []error{
		os.MkdirAll(meta, 0o700), os.MkdirAll(tlsDir, 0o700), os.CopyFS(filepath.Join(tlsDir, "docker"), os.DirFS(certs)),
		os.WriteFile(filepath.Join(meta, "meta.json"), []byte(`{"Name":"builder","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://`+addr+`","SkipTLSVerify":false}}}`), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return openOn(t, "builder", map[string]string{"DOCKER_CONFIG": config})
}

// serveTLS listens as an engine does that wants client certificates, and returns
// its address and the folder of a client's.
func serveTLS(t *testing.T, r *relay) (addr, certs string) {
	t.Helper()
	certs = t.TempDir()
	server := authority(t, certs)
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	r.serve(t, l)
	return l.Addr().String(), certs
}

// authority makes a certificate authority, a client's files in dir, and a
// server's configuration.
func authority(t *testing.T, dir string) *tls.Config {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var root *x509.Certificate
	var rootKey *ecdsa.PrivateKey
	issue := func(c *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		parent, signer := root, rootKey
		if parent == nil {
			parent, signer = c, key
		}
		c.SerialNumber, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
		must(err)
		return der, key
	}
	file := func(name, kind string, der []byte) {
		must(os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, key := issue(ca)
	file("ca.pem", "CERTIFICATE", der)
	root, rootKey = ca, key
	pool := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	must(err)
	pool.AddCert(parsed)
	der, key = issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	file("cert.pem", "CERTIFICATE", der)
	keyDER, err := x509.MarshalECPrivateKey(key)
	must(err)
	file("key.pem", "EC PRIVATE KEY", keyDER)
	der, key = issue(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}
}
