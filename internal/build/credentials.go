package build

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weelo/weelo-deploy/internal/engine"
)

// credentials are the registries that the user has logged in to with the
// docker command, for base images (docker/cli, cli/config/configfile).
type credentials struct {
	Auths map[string]struct {
		Auth          string `json:"auth"` // base64 of user:password
		Username      string `json:"username"`
		Password      string `json:"password"`
		IdentityToken string `json:"identitytoken"`
	} `json:"auths"`
	Store   string            `json:"credsStore"`
	Helpers map[string]string `json:"credHelpers"` // registry → helper
}

// readCredentials reads the docker command's config.json; without one there
// are none.
func readCredentials(getenv func(string) string) (credentials, error) {
	var c credentials
	dir := engine.ConfigDir(getenv)
	if dir == "" {
		return c, nil
	}
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read registry credentials: %w", err)
	}
	if json.Unmarshal(b, &c) != nil { // its error could quote a password
		return c, fmt.Errorf("read registry credentials: %s is no valid JSON", path)
	}
	return c, nil
}

// hubKey is Docker Hub's name in config.json; BuildKit asks for its real hosts.
const hubKey = "https://index.docker.io/v1/"

// keys are the names under which config.json may know a registry.
func keys(host string) []string {
	switch host {
	case "registry-1.docker.io", "docker.io", "index.docker.io":
		return []string{hubKey, "index.docker.io", "docker.io", "registry-1.docker.io"}
	}
	return []string{host, "https://" + host, "http://" + host, "https://" + host + "/", "https://" + host + "/v1/", "https://" + host + "/v2/"}
}

// find looks a registry up: its helper, the general store, the file itself. An
// unknown registry is anonymous, not an error.
func (c credentials) find(ctx context.Context, host string) (user, secret string, err error) {
	for _, k := range keys(host) {
		if h := c.Helpers[k]; h != "" {
			return ask(ctx, h, k)
		}
	}
	if c.Store != "" {
		for _, k := range keys(host)[:1] {
			if user, secret, err = ask(ctx, c.Store, k); err != nil || secret != "" {
				return user, secret, err
			}
		}
	}
	for _, k := range keys(host) {
		a, ok := c.Auths[k]
		switch {
		case !ok:
			continue
		case a.IdentityToken != "":
			return "", a.IdentityToken, nil
		case a.Auth == "":
			return a.Username, a.Password, nil
		}
		b, err := base64.StdEncoding.DecodeString(a.Auth)
		user, secret, ok := strings.Cut(strings.TrimRight(string(b), "\x00"), ":")
		if err != nil || !ok {
			return "", "", fmt.Errorf("the docker configuration's entry for %s is broken: docker login %s mends it", k, host)
		}
		return user, secret, nil
	}
	return "", "", nil
}

// helperName is what a credential helper may be called.
var helperName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// ask runs a credential helper (docker-credential-helpers, "Development":
// the server's name on standard input, JSON on standard output).
func ask(ctx context.Context, helper, server string) (user, secret string, err error) {
	if !helperName.MatchString(helper) {
		return "", "", fmt.Errorf("credential helper %q has no usable name", helper)
	}
	cmd := exec.CommandContext(ctx, "docker-credential-"+helper, "get")
	cmd.Stdin = strings.NewReader(server)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if strings.Contains(string(out), "credentials not found") {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("ask docker-credential-%s for %s: %w: %s", helper, server, err, strings.TrimSpace(errOut.String()))
	}
	var answer struct{ Username, Secret string }
	if json.Unmarshal(out, &answer) != nil {
		return "", "", fmt.Errorf("ask docker-credential-%s for %s: the answer is no valid JSON", helper, server)
	}
	if answer.Username == "<token>" { // the secret is an identity token
		answer.Username = ""
	}
	return answer.Username, answer.Secret, nil
}

// authServer answers BuildKit's questions for registry credentials.
type authServer struct {
	auth.UnimplementedAuthServer
	creds credentials
}

// Register implements session.Attachable.
func (a *authServer) Register(s *grpc.Server) { auth.RegisterAuthServer(s, a) }

// Credentials implements auth.AuthServer.
func (a *authServer) Credentials(ctx context.Context, r *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	user, secret, err := a.creds.find(ctx, r.Host)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &auth.CredentialsResponse{Username: user, Secret: secret}, nil
}

// GetTokenAuthority implements auth.AuthServer: Unavailable makes BuildKit fetch
// tokens itself, with what Credentials answers.
func (a *authServer) GetTokenAuthority(context.Context, *auth.GetTokenAuthorityRequest) (*auth.GetTokenAuthorityResponse, error) {
	return nil, status.Error(codes.Unavailable, "tokens are not made on the client's side")
}
