package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dockerConfig writes a folder like ~/.docker: config.json, and the context
// "remote" at tcp://10.0.0.1:2376.
func dockerConfig(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	sum := sha256.Sum256([]byte("remote"))
	meta := filepath.Join(dir, "contexts", "meta", hex.EncodeToString(sum[:]))
	if err := os.MkdirAll(meta, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(dir, "config.json"): config,
		filepath.Join(meta, "meta.json"):  `{"Name":"remote","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://10.0.0.1:2376","SkipTLSVerify":false}}}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestResolve(t *testing.T) {
	for name, x := range map[string]struct {
		env    map[string]string
		config string
		want   endpoint
		err    string
	}{
		"nothing said":       {want: endpoint{host: defaultHost}},
		"DOCKER_HOST":        {env: map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "remote"}, want: endpoint{"tcp://h:1", " (DOCKER_HOST)", true}},
		"the default socket": {env: map[string]string{"DOCKER_HOST": defaultHost}, want: endpoint{defaultHost, " (DOCKER_HOST)", false}},
		"DOCKER_CONTEXT":     {env: map[string]string{"DOCKER_CONTEXT": "remote"}, want: endpoint{"tcp://10.0.0.1:2376", " (context remote)", true}},
		"current context":    {config: `{"currentContext":"remote"}`, want: endpoint{"tcp://10.0.0.1:2376", " (context remote)", true}},
		"context default":    {env: map[string]string{"DOCKER_CONTEXT": "default"}, config: `{"currentContext":"remote"}`, want: endpoint{host: defaultHost}},
		"no such context":    {env: map[string]string{"DOCKER_CONTEXT": "gone"}, err: `"gone": there is no such context`},
		"broken config.json": {config: `{`, want: endpoint{host: defaultHost}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := dockerConfig(t, x.config)
			got, err := resolve(func(name string) string {
				if name == "DOCKER_CONFIG" {
					return dir
				}
				return x.env[name]
			})
			if x.err != "" {
				if err == nil || !strings.Contains(err.Error(), x.err) {
					t.Errorf("got %v, want %q in it", err, x.err)
				}
				return
			}
			if err != nil || got != x.want {
				t.Errorf("got %+v %v, want %+v", got, err, x.want)
			}
		})
	}
}

// engineAt listens on a socket like an engine that answers with the status.
func engineAt(t *testing.T, status int) endpoint {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_ping" {
			t.Errorf("asked for %s, want /_ping", r.URL.Path)
		}
		w.Header().Set("Server", "Docker/29.1.0 (linux)")
		w.WriteHeader(status)
	})}}
	server.Start()
	t.Cleanup(server.Close)
	return endpoint{host: "unix://" + socket}
}

func TestPing(t *testing.T) {
	if got, err := ping(engineAt(t, http.StatusOK)); err != nil || got != "Docker/29.1.0 (linux)" {
		t.Errorf("engine that answers: got %q %v, want its name", got, err)
	}
	if _, err := ping(engineAt(t, http.StatusInternalServerError)); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("engine in trouble: got %v, want its status", err)
	}
	if _, err := ping(endpoint{host: "unix://" + filepath.Join(t.TempDir(), "none.sock")}); err == nil {
		t.Error("no socket: got no error")
	}
	if _, err := ping(endpoint{host: "ssh://root@far"}); err == nil || !strings.Contains(err.Error(), "not ssh") {
		t.Errorf("ssh: got %v, want it refused by name", err)
	}
}
