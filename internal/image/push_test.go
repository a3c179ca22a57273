package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image/imagetest"
)

// fakeEngine has images by reference, and pushes as it is told.
type fakeEngine struct {
	images map[string]string // reference → id
	push   func(ref string, n int) (string, error)
	pushes int
	auth   engine.Auth
}

func (f *fakeEngine) Image(_ context.Context, ref string) (engine.Image, error) {
	var i engine.Image
	for name, id := range f.images {
		if id == ref || name == ref {
			i.ID = id
		}
	}
	if i.ID == "" {
		return engine.Image{}, fmt.Errorf("inspect %s: %w", ref, engine.ErrNotFound)
	}
	for name, id := range f.images {
		if id == i.ID {
			i.RepoTags = append(i.RepoTags, name)
		}
	}
	return i, nil
}

func (f *fakeEngine) Tag(_ context.Context, id, ref string) error { f.images[ref] = id; return nil }
func (f *fakeEngine) Untag(ctx context.Context, ref string) error {
	delete(f.images, ref)
	return ctx.Err()
}

func (f *fakeEngine) Push(_ context.Context, ref string, a engine.Auth, progress func(engine.PushProgress)) (string, error) {
	f.pushes, f.auth = f.pushes+1, a
	if f.images[ref] != "sha256:image" {
		return "", errors.New("not tagged")
	}
	progress(engine.PushProgress{Layer: "aa", Status: "Pushed"})
	return f.push(ref, f.pushes)
}

func newFake(push func(string, int) (string, error)) *fakeEngine {
	return &fakeEngine{images: map[string]string{"built:latest": "sha256:image", "other:v1": "sha256:other"}, push: push}
}

func refused(s string) error {
	return fmt.Errorf("push host/r:v1: %w", &engine.StreamError{Message: s})
}

func req(tags ...string) PushRequest {
	return PushRequest{ImageID: "built:latest", Repository: "host/r", Tags: tags, Auth: engine.Auth{Username: "AWS", Password: "p"}}
}

func TestPush_EveryTagAndNothingLeft(t *testing.T) {
	f := newFake(func(string, int) (string, error) { return "sha256:pushed", nil })
	digest, err := Push(t.Context(), f, req("v1", "v2"), event.Discard)
	if err != nil || digest != "sha256:pushed" || f.pushes != 2 || f.auth.Username != "AWS" {
		t.Errorf("Push = %s, %v with %d pushes as %s", digest, err, f.pushes, f.auth)
	}
	if len(f.images) != 2 {
		t.Errorf("references that are left: %v", f.images)
	}
}

func TestPush_KeepsTheUsersOwnReference(t *testing.T) {
	f := newFake(func(string, int) (string, error) { return "sha256:pushed", nil })
	f.images["host/r:v1"] = "sha256:other"
	if _, err := Push(t.Context(), f, req("v1"), event.Discard); err != nil || f.images["host/r:v1"] != "sha256:other" {
		t.Errorf("host/r:v1 is %s after Push, %v; want the image that it was", f.images["host/r:v1"], err)
	}
	f.images["host/r:v1"] = "sha256:image"
	if _, err := Push(t.Context(), f, req("v1"), event.Discard); err != nil || f.images["host/r:v1"] != "sha256:image" {
		t.Errorf("host/r:v1 is %q after Push, %v; want it kept", f.images["host/r:v1"], err)
	}
}

func TestPush_Fails(t *testing.T) {
	for _, c := range []struct {
		name, text string
		code       event.Code
		message    string
		hint       string
	}{
		{"a tag that does not move", "tag invalid: The image tag 'v1' already exists in the 'r' repository and cannot be overwritten because the repository is immutable.", event.CodeTagImmutable, `"v1" is another image`, "--tag"},
		{"denied", "denied: User: arn:aws:iam::1:user/x is not authorized to perform: ecr:InitiateLayerUpload", event.CodePushFailed, "denies", "ecr:InitiateLayerUpload"},
		{"unauthorized", "unauthorized: authentication required", event.CodePushFailed, "denies", "ecr:GetAuthorizationToken"},
		{"no login", "no basic auth credentials", event.CodePushFailed, "denies", "ecr:PutImage"},
		{"an old login", "denied: Your authorization token has expired. Reauthenticate and try again.", event.CodePushFailed, "expired", "again"},
		{"a full disk", "write /var/lib/registry/x: no space left on device", event.CodePushFailed, "no space left", "docker system prune"},
		{"no repository", "name unknown: The repository with name 'r' does not exist in the registry with id '1'", event.CodePushFailed, "does not exist", "aws ecr create-repository --repository-name r"},
		{"a registry in trouble", "received unexpected HTTP status: 500 Internal Server Error", event.CodePushFailed, "failed to store it (500 Internal Server Error)", "no space left"},
		{"something else", "manifest invalid: so it is", event.CodePushFailed, "manifest invalid: so it is", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(func(string, int) (string, error) { return "", refused(c.text) })
			var events []event.Event
			var err error
			synctest.Test(t, func(t *testing.T) { // some are tried again
				_, err = Push(t.Context(), f, req("v1"), func(e event.Event) { events = append(events, e) })
			})
			got := event.FailuresOf(err)[0]
			if got.Code != c.code || !strings.Contains(got.Message, c.message) || !strings.Contains(got.Message, "push host/r:v1") || !strings.Contains(strings.Join(append(got.Hints, got.Next...), "\n"), c.hint) {
				t.Errorf("Push = %s %q with hints %q; want %s, %q, %q", got.Code, got.Message, got.Hints, c.code, c.message, c.hint)
			}
			if len(f.images) != 2 {
				t.Errorf("references that are left: %v", f.images)
			}
			if last, ok := events[len(events)-1].(event.Build); !ok || last.Status != event.Failed {
				t.Errorf("the last event is %+v, want the step failed", last)
			}
		})
	}
}

func TestPush_Throttled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(_ string, n int) (string, error) {
			if n < 4 {
				return "", refused("toomanyrequests: Rate exceeded")
			}
			return "sha256:pushed", nil
		})
		began := time.Now()
		var lines []string
		digest, err := Push(t.Context(), f, req("v1"), func(e event.Event) {
			if b, ok := e.(event.Build); ok && b.Line != "" {
				lines = append(lines, b.Line)
			}
		})
		took := time.Since(began)
		if err != nil || digest != "sha256:pushed" || took < 5*time.Second || took > 9*time.Second { // 1 + 2 + 4 s, a quarter off
			t.Errorf("Push = %s, %v after %s", digest, err, took)
		}
		if n := len(slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "again in ") })); n != 3 {
			t.Errorf("%d lines tell of a retry, want 3", n)
		}
	})
}

func TestPush_ThrottledForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(string, int) (string, error) { return "", refused("toomanyrequests: Rate exceeded") })
		_, err := Push(t.Context(), f, req("v1"), event.Discard)
		if got := event.FailuresOf(err)[0]; got.Code != event.CodePushFailed || !strings.Contains(got.Message, "throttles") || f.pushes != throttledTries {
			t.Errorf("Push = %v after %d tries", err, f.pushes)
		}
	})
}

func TestPush_BrokenConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(string, int) (string, error) {
			return "", refused("received unexpected HTTP status: 503 Service Unavailable")
		})
		if _, err := Push(t.Context(), f, req("v1"), event.Discard); err == nil || f.pushes != brokenTries {
			t.Errorf("Push = %v after %d tries, want %d", err, f.pushes, brokenTries)
		}
	})
}

// TestPush_EngineRetriedAlready does not multiply the engine's own patience.
func TestPush_EngineRetriedAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(string, int) (string, error) {
			time.Sleep(50 * time.Second) // virtual: the engine's five tries of a layer
			return "", refused("received unexpected HTTP status: 503 Service Unavailable")
		})
		if _, err := Push(t.Context(), f, req("v1"), event.Discard); err == nil || f.pushes != 1 {
			t.Errorf("Push = %v after %d tries, want 1", err, f.pushes)
		}
	})
}

func TestPush_Cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		f := newFake(func(string, int) (string, error) {
			time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
			return "", refused("toomanyrequests: Rate exceeded")
		})
		began := time.Now()
		_, err := Push(ctx, f, req("v1"), event.Discard)
		if !errors.Is(err, why) || time.Since(began) > 200*time.Millisecond || f.pushes != 1 {
			t.Errorf("Push = %v after %s and %d tries", err, time.Since(began), f.pushes)
		}
		if len(f.images) != 2 {
			t.Errorf("references that are left: %v", f.images)
		}
	})
}

func TestPush_TagsThatBecomeDifferentImages(t *testing.T) {
	f := newFake(func(_ string, n int) (string, error) { return fmt.Sprintf("sha256:%d", n), nil })
	if _, err := Push(t.Context(), f, req("v1", "v2"), event.Discard); event.FailuresOf(err)[0].Code != event.CodePushFailed {
		t.Errorf("Push = %v, want PUSH_FAILED", err)
	}
}

func TestPush_TagHoldsTheImageAlready(t *testing.T) {
	f := newFake(func(string, int) (string, error) { return "", refused("tag invalid: … immutable") })
	p := req("v1")
	p.Holds = func(_ context.Context, tag string) (string, bool, error) { return "sha256:there", tag == "v1", nil }
	if digest, err := Push(t.Context(), f, p, event.Discard); err != nil || digest != "sha256:there" {
		t.Errorf("Push = %s, %v; want the digest behind the tag", digest, err)
	}
	p.Holds = func(context.Context, string) (string, bool, error) { return "sha256:other", false, nil }
	if _, err := Push(t.Context(), f, p, event.Discard); event.FailuresOf(err)[0].Code != event.CodeTagImmutable {
		t.Errorf("Push = %v, want TAG_IMMUTABLE", err)
	}
}

func TestPush_Refuses(t *testing.T) {
	f := newFake(nil)
	if _, err := Push(t.Context(), f, req(), event.Discard); event.FailuresOf(err)[0].Code != event.CodeUsage {
		t.Errorf("Push without a tag = %v", err)
	}
	p := req("v1")
	p.ImageID = "nothing"
	if _, err := Push(t.Context(), f, p, event.Discard); event.FailuresOf(err)[0].Code != event.CodeNotFound {
		t.Errorf("Push of nothing = %v", err)
	}
}

// local loads a small image into the real engine.
func local(t *testing.T, e *engine.Engine) string {
	t.Helper()
	return enginetest.Image{Files: map[string][]byte{"/x": []byte(enginetest.Name(t))}, Arch: "amd64"}.Load(t, e)
}

func TestPush_RealEngine(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	ref := local(t, e)
	host := server(t, nil)
	var lines []string
	p := PushRequest{ImageID: ref, Repository: host + "/weelo/backend", Tags: []string{"v1", "abc"}}
	digest, err := Push(t.Context(), e, p, func(ev event.Event) {
		if b, ok := ev.(event.Build); ok {
			lines = append(lines, string(b.Status)+b.Line)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range p.Tags {
		d, err := remote.Head(parse(t, p.Repository+":"+tag))
		if err != nil || d.Digest.String() != digest {
			t.Errorf("tag %s is %v, %v; want %s", tag, d, err, digest)
		}
		if _, err := e.Image(t.Context(), p.Repository+":"+tag); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("local reference %s is left: %v", tag, err)
		}
	}
	if len(lines) > 8 || lines[0] != "started" || lines[len(lines)-1] != "done" {
		t.Errorf("events: %q", lines)
	}
	// What was verified is what was pushed: the config's digest binds both.
	l, err := VerifyLocal(t.Context(), e, ref, []Requirement{from("build.platform", amd64)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewRemote(engine.Auth{}, nil).Describe(t.Context(), p.Repository+"@"+digest, amd64)
	if err != nil || d.ConfigDigest != l.ConfigDigest {
		t.Errorf("pushed config %s, %v; verified %s", d.ConfigDigest, err, l.ConfigDigest)
	}
}

// TestPush_RealEngineNamelessImage: an engine removes an image with its last name,
// which must not be the one that Push lent it.
func TestPush_RealEngineNamelessImage(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	c := imagetest.New()
	c.Top = c.Image(imagetest.Image{Labels: map[string]string{"test": enginetest.Name(t)}})
	ids, err := e.Load(t.Context(), bytes.NewReader(saved(t, c)))
	if err != nil {
		t.Fatal(err)
	}
	id := ids[0]
	enginetest.Remove(t, e, id)
	p := PushRequest{ImageID: id, Repository: server(t, nil) + "/x", Tags: []string{"v1", "v2"}}
	for range 2 {
		if _, err := Push(t.Context(), e, p, event.Discard); err != nil {
			t.Fatal(err)
		}
		i, err := e.Image(t.Context(), id)
		if err != nil || len(i.RepoTags) != 1 {
			t.Errorf("the image after Push = %+v, %v; want it there, under one name", i, err)
		}
	}
}

// TestPush_RealEngineErrors holds the texts that the engine makes of a
// registry's answers against what pushFailure knows.
func TestPush_RealEngineErrors(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	ref := local(t, e)
	for _, c := range []struct {
		name   string
		method string
		part   string
		status int
		code   string
		text   string
		want   event.Code
		says   string
	}{
		{"immutable", http.MethodPut, "/manifests/", 400, "TAG_INVALID", "The image tag 'v1' already exists in the 'x' repository and cannot be overwritten because the repository is immutable.", event.CodeTagImmutable, "does not move tags"},
		{"denied", http.MethodPost, "/blobs/uploads/", 403, "DENIED", "User: x is not authorized to perform: ecr:InitiateLayerUpload", event.CodePushFailed, "denies"},
		{"full disk", http.MethodPut, "/manifests/", 500, "UNKNOWN", "write: no space left on device", event.CodePushFailed, "the registry failed to store it (500 Internal Server Error)"},
		{"no repository", http.MethodPost, "/blobs/uploads/", 404, "NAME_UNKNOWN", "The repository with name 'x' does not exist in the registry with id '1'", event.CodePushFailed, "does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := server(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == c.method && strings.Contains(r.URL.Path, c.part) {
						io.Copy(io.Discard, r.Body)
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(c.status)
						fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, c.code, c.text)
						return
					}
					h.ServeHTTP(w, r)
				})
			})
			_, err := Push(t.Context(), e, PushRequest{ImageID: ref, Repository: host + "/x", Tags: []string{"v1"}}, event.Discard)
			f := event.FailuresOf(err)[0]
			if f.Code != c.want || !strings.Contains(f.Message, c.says) {
				t.Errorf("Push = %s %q (%v); want %s and %q", f.Code, f.Message, err, c.want, c.says)
			}
		})
	}
}

// TestPush_RealEngineThrottled lets a registry throttle every kind of request that
// a push is made of; the engine tries none of them again by itself.
func TestPush_RealEngineThrottled(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	for _, c := range []struct{ name, method, part string }{
		{"looking for layers", http.MethodHead, "/blobs/"},
		{"beginning an upload", http.MethodPost, "/blobs/uploads/"},
		{"sending a layer", http.MethodPatch, "/blobs/uploads/"},
		{"ending an upload", http.MethodPut, "/blobs/uploads/"},
		{"putting the manifest", http.MethodPut, "/manifests/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ref := local(t, e)
			var asked, refused atomic.Int32
			host := server(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == c.method && strings.Contains(r.URL.Path, c.part) && asked.Add(1) <= 1 {
						refused.Add(1)
						io.Copy(io.Discard, r.Body)
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(http.StatusTooManyRequests)
						io.WriteString(w, `{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}`)
						return
					}
					h.ServeHTTP(w, r)
				})
			})
			var told []string
			digest, err := Push(t.Context(), e, PushRequest{ImageID: ref, Repository: host + "/x", Tags: []string{"v1"}}, func(ev event.Event) {
				if b, ok := ev.(event.Build); ok && strings.HasPrefix(b.Line, "again in ") {
					told = append(told, b.Line)
				}
			})
			if err != nil || digest == "" {
				t.Fatalf("Push = %s, %v after %d requests", digest, err, asked.Load())
			}
			if refused.Load() != 1 || asked.Load() < 2 && c.method != http.MethodHead || len(told) > 1 {
				t.Errorf("%d requests, %d of them refused, told %q; want it to be tried again once", asked.Load(), refused.Load(), told)
			}
			if d, err := remote.Head(parse(t, host+"/x:v1")); err != nil || d.Digest.String() != digest {
				t.Errorf("pushed %v, %v; want %s", d, err, digest)
			}
		})
	}
}

// TestPush_RealEngineThrottledTwice: the pauses grow, and the push gets there.
func TestPush_RealEngineThrottledTwice(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	ref := local(t, e)
	var manifests atomic.Int32
	host := server(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && manifests.Add(1) <= 2 {
				w.WriteHeader(http.StatusTooManyRequests) // without a word, as a proxy does
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	began := time.Now()
	digest, err := Push(t.Context(), e, PushRequest{ImageID: ref, Repository: host + "/x", Tags: []string{"v1"}}, event.Discard)
	if took := time.Since(began); err != nil || digest == "" || manifests.Load() != 3 || took < 2*time.Second {
		t.Errorf("Push = %s, %v with %d manifests after %s; want two pauses", digest, err, manifests.Load(), took)
	}
}
