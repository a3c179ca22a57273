package registry

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"cuelabs.dev/go/oci/ociregistry"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

// errPushDenied and errPullDenied say which right is missing.
var (
	errPushDenied = fmt.Errorf("push: %w", ErrDenied)
	errPullDenied = fmt.Errorf("pull: %w", ErrDenied)
)

// Handler serves the registry protocol under /v2/.
func (s *Store) Handler() http.Handler {
	b := backend{&ociregistry.Funcs{}, s}
	protocol := ociserver.New(b, &ociserver.Options{MaxListPageSize: 1000})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.loggedIn(r) {
			refuseLogin(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/manifests/") { // the protocol's server panics on an empty reference
			http.NotFound(w, r)
			return
		}
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			if err := checkManifest(w, r); err != nil {
				_ = ociregistry.WriteError(w, err) // a client that has gone does not need it
				return
			}
		}
		if q := r.URL.Query(); r.Method == http.MethodPost && b.hasBlob(q.Get("from"), q.Get("mount")) != nil {
			// A mount of what is not there starts an upload instead
			// (distribution specification, "Mounting a blob from another repository").
			r.URL.RawQuery = withoutMount(q)
		}
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		protocol.ServeHTTP(w, r)
	})
}

// checkManifest reads a manifest ahead of the protocol's server, which neither
// bounds it nor calls one that is no JSON the client's fault.
func checkManifest(w http.ResponseWriter, r *http.Request) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge("manifest", maxManifest)
	}
	if err == nil && !json.Valid(data) {
		err = errors.New("not JSON")
	}
	if err != nil {
		return ociregistry.NewError(fmt.Sprintf("manifest invalid: %s", err), ociregistry.ErrManifestInvalid.Code(), nil)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return nil
}

// tooLarge refuses what is longer than it may be. The specification has a status for
// it and no code.
func tooLarge(what string, most int64) error {
	return ociregistry.NewHTTPError(ociregistry.NewError(fmt.Sprintf("the %s is larger than %d bytes", what, most), "TOO_LARGE", nil), http.StatusRequestEntityTooLarge, nil, nil)
}

func withoutMount(q url.Values) string {
	q.Del("mount")
	q.Del("from")
	return q.Encode()
}

func (s *Store) loggedIn(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && user == "AWS" && subtle.ConstantTimeCompare([]byte(password), []byte(s.token)) == 1
}

// refuseLogin answers as ECR does to a client without, or with an old, token.
func refuseLogin(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("Www-Authenticate", fmt.Sprintf(`Basic realm="http://%s/",service="ecr.amazonaws.com"`, r.Host))
	err := ociregistry.NewError("Your authorization token has expired. Reauthenticate and try again.", "DENIED", nil)
	if r.Header.Get("Authorization") == "" {
		err = ociregistry.NewError("Not Authorized", "DENIED", nil)
	}
	body, _ := ociregistry.MarshalError(err) // the status is ours: 401, or docker does not log in
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write(body)
}

// gated wraps a gate so that its refusals say what was refused.
func gated(g Gate) Gate {
	return func(a Action, repo string) error {
		err := g(a, repo)
		if !errors.Is(err, ErrDenied) {
			return err
		}
		if a == Push {
			return errPushDenied
		}
		return errPullDenied
	}
}
