package build

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
)

// basicAuth wants a user's name and password for everything.
func basicAuth(name, password string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != name || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// user is a login for go-containerregistry.
type user struct{ name, password string }

func (u *user) Authorization() (*authn.AuthConfig, error) {
	return &authn.AuthConfig{Username: u.name, Password: u.password}, nil
}

// helper puts a credential helper into PATH.
func helper(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestCredentials(t *testing.T) {
	helper(t, "good", `read server; test "$1" = get || exit 9; printf '{"ServerURL":"%s","Username":"u-%s","Secret":"s"}' "$server" "$server"`)
	helper(t, "token", `echo '{"Username":"<token>","Secret":"identity"}'`)
	helper(t, "empty", `echo "credentials not found in native keychain"; exit 1`)
	for _, c := range []struct{ name, config, host, user, secret string }{
		{"no file", "", "r.example", "", ""},
		{"auth of a host", `{"auths":{"r.example":{"auth":"bWU6cGE6c3M="}}}`, "r.example", "me", "pa:ss"},
		{"auth of an address", `{"auths":{"https://r.example/v2/":{"auth":"bWU6cGE6c3M="}}}`, "r.example", "me", "pa:ss"},
		{"another host", `{"auths":{"r.example":{"auth":"bWU6cGE6c3M="}}}`, "s.example", "", ""},
		{"user and password", `{"auths":{"r.example":{"username":"a","password":"b"}}}`, "r.example", "a", "b"},
		{"an identity token", `{"auths":{"r.example":{"auth":"bWU6","identitytoken":"tok"}}}`, "r.example", "", "tok"},
		{"Docker Hub", `{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6cGE6c3M="}}}`, "registry-1.docker.io", "me", "pa:ss"},
		{"a helper of the host", `{"credHelpers":{"r.example":"good"},"credsStore":"token"}`, "r.example", "u-r.example", "s"},
		{"the general helper", `{"credsStore":"good","credHelpers":{"other":"token"}}`, "registry-1.docker.io", "u-" + hubKey, "s"},
		{"a helper's identity token", `{"credsStore":"token"}`, "r.example", "", "identity"},
		{"a helper that knows nothing leaves it to the file", `{"credsStore":"empty","auths":{"r.example":{"auth":"bWU6cGE6c3M="}}}`, "r.example", "me", "pa:ss"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.config != "" {
				dir = write(t, map[string]string{"config.json": c.config})
			}
			creds, err := readCredentials(func(string) string { return dir })
			if err != nil {
				t.Fatal(err)
			}
			user, secret, err := creds.find(t.Context(), c.host)
			if err != nil || user != c.user || secret != c.secret {
				t.Errorf("find(%s) = %q, %q, %v; want %q, %q", c.host, user, secret, err, c.user, c.secret)
			}
		})
	}
}

func TestCredentials_Refuse(t *testing.T) {
	helper(t, "broken", `echo "keychain is locked" >&2; exit 1`)
	helper(t, "chatty", `echo hello`)
	for _, c := range []struct{ name, config, want string }{
		{"a helper that fails", `{"credsStore":"broken"}`, "keychain is locked"},
		{"a helper that answers nonsense", `{"credsStore":"chatty"}`, "no valid JSON"},
		{"a helper that is not installed", `{"credsStore":"nowhere"}`, "docker-credential-nowhere"},
		{"a helper with a path for a name", `{"credsStore":"../../bin/sh"}`, "no usable name"},
		{"a broken entry", `{"auths":{"r.example":{"auth":"hunter2"}}}`, "docker login r.example"},
		{"a broken file", `{"auths":{"r.example":{"auth":"hunter2"`, "no valid JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, map[string]string{"config.json": c.config})
			creds, err := readCredentials(func(string) string { return dir })
			if err == nil {
				_, _, err = creds.find(t.Context(), "r.example")
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("find = %v, want %q and no secret", err, c.want)
			}
		})
	}
}
