package image

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image/imagetest"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
)

// requests records what a registry is asked, without the repository.
type requests struct {
	mu  sync.Mutex
	all []string
}

func (r *requests) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, path, ok := strings.Cut(req.URL.Path, "/v2/"); ok && path != "" {
			r.mu.Lock()
			r.all = append(r.all, req.Method+" "+path[strings.LastIndex(path, "/")+1:])
			r.mu.Unlock()
		}
		h.ServeHTTP(w, req)
	})
}

func (r *requests) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

func TestPin(t *testing.T) {
	var seen requests
	repo := server(t, seen.wrap) + "/weelo/backend"
	img := tiny(t, "amd64", nil)
	if err := remote.Write(parse(t, repo+":v1"), img); err != nil {
		t.Fatal(err)
	}
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	seen.take()
	r := NewRemote(engine.Auth{}, nil)
	want := "weelo-" + h.Hex[:12]
	if tag, err := r.Pin(t.Context(), repo, h.String()); tag != want || err != nil {
		t.Errorf("Pin = %s, %v; want %s", tag, err, want)
	}
	if diff := cmp.Diff([]string{"HEAD " + want, "GET " + h.String(), "PUT " + want}, seen.take()); diff != "" {
		t.Errorf("requests of Pin (-want +got):\n%s", diff)
	}
	if tag, err := r.Pin(t.Context(), repo, h.String()); tag != want || err != nil {
		t.Errorf("Pin again = %s, %v", tag, err)
	}
	if diff := cmp.Diff([]string{"HEAD " + want}, seen.take()); diff != "" {
		t.Errorf("requests of Pin again (-want +got):\n%s", diff)
	}
	if d, err := remote.Head(parse(t, repo+":"+want)); err != nil || d.Digest != h {
		t.Errorf("%s is %v, %v; want %s", want, d, err, h)
	}
	if _, err := r.Pin(t.Context(), repo, "sha256:"+strings.Repeat("0", 64)); !errors.Is(err, ErrNotFound) {
		t.Errorf("Pin of nothing = %v", err)
	}
	if _, err := r.Pin(t.Context(), repo, "v1"); err == nil {
		t.Error("Pin of what is no digest: no error")
	}
}

// TestPin_NeverMoves: a tag that somebody else put on another image stays there.
func TestPin_NeverMoves(t *testing.T) {
	repo := server(t, nil) + "/x"
	ours, other := tiny(t, "amd64", nil), tiny(t, "arm64", nil)
	h, err := ours.Digest()
	if err != nil {
		t.Fatal(err)
	}
	tag := PinTag(h.String())
	if err := errors.Join(remote.Write(parse(t, repo+":v1"), ours), remote.Write(parse(t, repo+":"+tag), other)); err != nil {
		t.Fatal(err)
	}
	_, err = NewRemote(engine.Auth{}, nil).Pin(t.Context(), repo, h.String())
	if f := event.FailuresOf(err)[0]; f.Code != event.CodeTagImmutable || !strings.Contains(f.Message, tag) {
		t.Errorf("Pin = %v, want TAG_IMMUTABLE", err)
	}
	if d, err := remote.Head(parse(t, repo+":"+tag)); err != nil || d.Digest == h {
		t.Errorf("the tag was moved: %v, %v", d, err)
	}
}

// TestPin_ImmutableRepository pins in a registry that behaves as ECR does.
func TestPin_ImmutableRepository(t *testing.T) {
	store, err := registry.Open(t.TempDir(), account, "ap-south-1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.CreateRepository("backend", true); err != nil {
		t.Fatal(err)
	}
	digest, err := store.PutTiny("backend", "v1", map[string][]byte{"app": []byte("x")}, registry.TinyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(store.Handler())
	t.Cleanup(srv.Close)
	repo := strings.TrimPrefix(srv.URL, "http://") + "/backend"
	user, password := store.Credentials()
	r := NewRemote(engine.Auth{Username: user, Password: password}, nil)
	for range 2 {
		if tag, err := r.Pin(t.Context(), repo, digest); err != nil || tag != PinTag(digest) {
			t.Errorf("Pin = %s, %v", tag, err)
		}
	}
	if d, err := r.Describe(t.Context(), repo+":"+PinTag(digest), amd64); err != nil || d.Digest != digest {
		t.Errorf("the pinned tag = %+v, %v; want %s", d, err, digest)
	}
}

// TestPin_SomebodyWasQuicker: the tag appears between the look and the write.
func TestPin_SomebodyWasQuicker(t *testing.T) {
	c, _ := imagetest.Find("amd64")
	content := c.Content()
	looks := 0
	host := server(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/weelo-"):
				if looks++; looks == 1 {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				content.ServeHTTP(w, r)
			case r.Method == http.MethodPut:
				w.WriteHeader(http.StatusBadRequest)
				w.Write([]byte(`{"errors":[{"code":"TAG_INVALID","message":"The image tag already exists and the repository is immutable."}]}`))
			default:
				content.ServeHTTP(w, r)
			}
		})
	})
	if tag, err := NewRemote(engine.Auth{}, nil).Pin(t.Context(), host+"/x", content.Top.Digest.String()); err != nil || tag == "" {
		t.Errorf("Pin = %s, %v", tag, err)
	}
}

func TestPin_Denied(t *testing.T) {
	c, _ := imagetest.Find("amd64")
	content := c.Content()
	host := server(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodHead:
				w.WriteHeader(http.StatusNotFound)
			case r.Method == http.MethodPut:
				w.WriteHeader(http.StatusForbidden)
				w.Write([]byte(`{"errors":[{"code":"DENIED","message":"not authorized to perform: ecr:PutImage"}]}`))
			default:
				content.ServeHTTP(w, r)
			}
		})
	})
	_, err := NewRemote(engine.Auth{}, nil).Pin(t.Context(), host+"/x", content.Top.Digest.String())
	if f := event.FailuresOf(err)[0]; f.Code != event.CodePushFailed || !strings.Contains(strings.Join(f.Hints, ""), "ecr:PutImage") {
		t.Errorf("Pin = %v, want PUSH_FAILED with the permission", err)
	}
}

// describer knows images by reference.
type describer map[string]Description

func (d describer) Describe(ctx context.Context, ref string, _ Platform) (Description, error) {
	if err := ctx.Err(); err != nil {
		return Description{}, err
	}
	if ref == "host.example/backend:broken" {
		return Description{}, errors.New("connection reset")
	}
	if ref == "host.example/backend:index" {
		return Description{}, notRunnable(ref, v1.Hash{}, "so it is")
	}
	i, ok := d[ref]
	if !ok {
		return i, ErrNotFound
	}
	return i, nil
}

func TestMovingTags(t *testing.T) {
	reg := describer{
		"host.example/backend:v1":     {Digest: "sha256:one", ConfigDigest: "sha256:c1"},
		"host.example/backend:latest": {Digest: "sha256:two", ConfigDigest: "sha256:c2"},
	}
	serving := func(image string) Protected { return Protected{"task:27", "serves", image} }
	target := func(image string) Protected {
		return Protected{"task:26", "is the rollback target", image}
	}
	const d = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, c := range []struct {
		name      string
		tags      []string
		protected []Protected
		immutable bool
		says      []string
	}{
		{"a tag that nobody names", []string{"v2"}, []Protected{serving("host.example/backend:v1")}, false, nil},
		{"the serving revision's", []string{"v2", "v1"}, []Protected{serving("host.example/backend:v1")}, false, []string{
			"tag v1 of repository backend may not move: task:27 (serves) names its image by it"}},
		{"the rollback target's", []string{"v1"}, []Protected{serving("host.example/backend" + d), target("host.example/backend:v1")}, false, []string{
			"tag v1 of repository backend may not move: task:26 (is the rollback target) names its image by it"}},
		{"that of both", []string{"v1"}, []Protected{serving("host.example/backend:v1"), target("host.example/backend:v1")}, false, []string{
			"tag v1 of repository backend may not move: task:27 (serves) and task:26 (is the rollback target) name their image by it"}},
		{"latest, which is what no tag means", []string{"latest"}, []Protected{serving("host.example/backend")}, false, []string{
			"tag latest of repository backend may not move: task:27 (serves) names its image by it"}},
		{"two tags", []string{"v1", "latest"}, []Protected{serving("host.example/backend:v1"), target("host.example/backend:latest")}, false, []string{
			"tag v1 of repository backend may not move: task:27 (serves) names its image by it",
			"tag latest of repository backend may not move: task:26 (is the rollback target) names its image by it"}},
		{"named by digest", []string{"v1"}, []Protected{serving("host.example/backend" + d), target("host.example/backend:v1" + d)}, false, nil},
		{"the tag of another repository", []string{"v1"}, []Protected{serving("host.example/sidecar:v1"), target("other/backend:v1")}, false, nil},
		{"the same image", []string{"same"}, []Protected{serving("host.example/backend:same")}, false, nil},
		{"an immutable repository", []string{"v1"}, []Protected{serving("host.example/backend:v1")}, true, nil},
		{"an image that is gone", []string{"gone"}, []Protected{serving("host.example/backend:gone")}, false, []string{
			"tag gone of repository backend may not move: task:27 (serves) names its image by it"}},
		{"an index without the platform", []string{"index"}, []Protected{serving("host.example/backend:index")}, false, []string{
			"tag index of repository backend may not move: task:27 (serves) names its image by it"}},
		{"a registry that does not answer", []string{"broken"}, []Protected{serving("host.example/backend:broken")}, false, []string{"connection reset"}},
		{"a reference that is none", []string{"v1"}, []Protected{serving("HOST//x")}, false, nil},
	} {
		m := Move{Repository: Repository{Name: "backend", URI: "host.example/backend"}, Tags: c.tags, ConfigDigest: "sha256:new", Platform: amd64, Protected: c.protected}
		if c.immutable {
			m.Repository.Mutability = "IMMUTABLE"
		}
		reg["host.example/backend:same"] = Description{ConfigDigest: "sha256:new"}
		var got []string
		for _, f := range event.FailuresOf(MovingTags(t.Context(), reg, m)) {
			got = append(got, f.Message)
			if f.Code == event.CodeTagInUse && !strings.Contains(strings.Join(f.Hints, "\n"), "--move-tag") {
				t.Errorf("%s: hints %q", c.name, f.Hints)
			}
		}
		if !slices.Equal(got, c.says) {
			t.Errorf("%s: MovingTags = %q, want %q", c.name, got, c.says)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	m := Move{Repository: Repository{URI: "host.example/backend"}, Tags: []string{"v1"}, Protected: []Protected{serving("host.example/backend:v1")}}
	if err := MovingTags(ctx, reg, m); !errors.Is(err, why) {
		t.Errorf("MovingTags after the end = %v", err)
	}
}
