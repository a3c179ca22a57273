// Package build makes an image with the BuildKit inside a Docker engine, and
// refuses to make one under emulation. New gives a Builder; its Check finds
// what would go wrong before anything is changed, its Build builds. RunBefore
// runs the commands that come before, ReadSource and Labels say what is built.
//
// The builder speaks BuildKit's control API through the engine's /grpc and
// /session endpoints, as `docker buildx` does, and needs neither that plugin
// nor the docker command. There is no way back to the engine's classic
// builder: it answers a request for one platform with a cached image of
// another. An image is built for one platform, without attestations.
package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/containerd/platforms"
	bkclient "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	"github.com/opencontainers/go-digest"
	"github.com/tonistiigi/fsutil"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// Engine is what the builder needs of a Docker engine; *engine.Engine has it.
type Engine interface {
	Endpoint() string
	Info(ctx context.Context) (engine.Info, error)
	DialHijack(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error)
}

// Request is what to build.
type Request struct {
	Context    string // absolute path of a folder
	Dockerfile string // absolute path; may be outside of the context
	Platform   string // "linux/amd64"
	Args       map[string]string
	Target     string // stage; empty for the last
	Labels     map[string]string
	Secrets    []Secret
	SSH        []string // "default", or "id=socket-or-key,…"
	// Contexts are further build contexts by name: the absolute path of a folder,
	// or "docker-image://REFERENCE".
	Contexts map[string]string
	// CacheFrom are images that hold build cache: a reference, or
	// "type=registry,ref=REFERENCE". One that cannot be had is no error.
	CacheFrom []string
	CacheTo   []string // "inline": the image holds its own build cache
	NoCache   bool     // build every step anew
	Pull      bool     // ask the registry for newer base images
	// AllowEmulation builds although RUN steps are emulated.
	AllowEmulation bool
	Name           string // local reference of the result; may be empty
}

// Secret is a file or an environment variable that RUN --mount=type=secret
// reads. Its value is in no layer and no output.
type Secret struct{ ID, File, Env string }

// Builder builds with one engine.
type Builder struct {
	engine Engine
	lookup func(string) (string, bool) // environment
	known  bases
}

// New makes a Builder. It does no I/O.
func New(e Engine) *Builder { return &Builder{engine: e, lookup: os.LookupEnv} }

// Result is what was built.
type Result struct {
	ImageID  string   // the engine's id of the image: "sha256:…"
	Steps    int      // steps of the Dockerfile that were looked at
	Cached   int      // how many of them came from the cache
	Emulated []string // RUN steps that ran under emulation
}

// Build checks the request and builds it. Progress goes to emit, one event when
// a step begins and one when it ends, and one for each line that a step prints.
// A failing step is a *event.Failure with CodeBuildFailed and its last lines.
func (b *Builder) Build(ctx context.Context, r Request, emit event.Emit) (Result, error) {
	in, err := b.read(r)
	if err != nil {
		return Result{}, err
	}
	native, err := b.judge(ctx, r, in)
	if err != nil {
		return Result{}, err
	}
	bk, err := b.dial(ctx)
	if err != nil {
		return Result{}, Unavailable(err)
	}
	defer bk.Close()
	opt, err := solveOptions(r.recording(native), in, b.environment)
	if err != nil {
		return Result{}, err
	}
	for _, text := range native.Unknown {
		emit(event.Note{Level: event.Warn, Text: text})
	}
	solving, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	story := newStory(emit, newMask(in.secrets))
	story.refuse = refuse
	id, err := solve(solving, bk, opt, story)
	if len(story.lies) > 0 && ctx.Err() == nil {
		return Result{}, errors.Join(story.lies...)
	}
	if err != nil {
		return Result{}, b.failure(ctx, err, story, in, native)
	}
	steps, cached := story.count()
	return Result{ImageID: id, Steps: steps, Cached: cached, Emulated: native.Emulated}, nil
}

func (b *Builder) environment(name string) string {
	v, _ := b.lookup(name)
	return v
}

// dial prepares a client of the engine's BuildKit. It does no network I/O.
func (b *Builder) dial(ctx context.Context) (*bkclient.Client, error) {
	return bkclient.New(ctx, "",
		bkclient.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return b.engine.DialHijack(ctx, "/grpc", "h2c", nil)
		}),
		bkclient.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return b.engine.DialHijack(ctx, "/session", proto, meta)
		}))
}

// solve runs the build and returns the image's id. The story is complete when
// it returns.
func solve(ctx context.Context, bk *bkclient.Client, opt bkclient.SolveOpt, s *story) (string, error) {
	status := make(chan *bkclient.SolveStatus)
	told := make(chan struct{})
	go func() {
		defer close(told)
		for st := range status { // Solve closes it
			s.tell(st)
		}
		s.end()
	}()
	res, err := bk.Solve(ctx, nil, opt, status)
	<-told
	if err != nil {
		return "", err
	}
	id := res.ExporterResponse["containerimage.digest"] // what the moby exporter calls the image's id
	if _, err := digest.Parse(id); err != nil {
		return "", fmt.Errorf("the engine answered with no image id: %v", res.ExporterResponse)
	}
	return id, nil
}

// solveOptions is the request in BuildKit's words (frontend "dockerfile.v0").
func solveOptions(r Request, in inputs, getenv func(string) string) (bkclient.SolveOpt, error) {
	source, err := fsutil.NewFS(r.Context)
	if err != nil {
		return bkclient.SolveOpt{}, fmt.Errorf("open build context %s: %w", r.Context, err)
	}
	folder, err := fsutil.NewFS(r.dockerfileDir())
	if err != nil {
		return bkclient.SolveOpt{}, fmt.Errorf("open the Dockerfile's folder %s: %w", r.dockerfileDir(), err)
	}
	creds, err := readCredentials(getenv)
	if err != nil {
		return bkclient.SolveOpt{}, err
	}
	attached := []session.Attachable{&authServer{creds: creds}, secretsprovider.FromMap(in.secrets)}
	if len(in.agents) > 0 {
		agents, err := sshprovider.NewSSHAgentProvider(in.agents)
		if err != nil {
			return bkclient.SolveOpt{}, fmt.Errorf("forward SSH agents: %w", err)
		}
		attached = append(attached, agents)
	}
	export := bkclient.ExportEntry{Type: "moby", Attrs: map[string]string{}}
	if r.Name != "" {
		export.Attrs["name"] = r.Name
	}
	attrs, mounts := frontendAttrs(r, in), map[string]fsutil.FS{"context": source, "dockerfile": folder}
	if err := in.addContexts(attrs, mounts); err != nil {
		return bkclient.SolveOpt{}, err
	}
	return bkclient.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: attrs,
		LocalMounts:   mounts,
		CacheImports:  in.cacheFrom,
		CacheExports:  in.cacheTo,
		Session:       attached,
		Exports:       []bkclient.ExportEntry{export},
		SharedKey:     sharedKey(r.Context),
	}, nil
}

func frontendAttrs(r Request, in inputs) map[string]string {
	attrs := map[string]string{"filename": in.dockerfile.name, "platform": platforms.Format(in.platform)}
	if epoch, ok := sourceEpoch(r); ok {
		attrs["build-arg:SOURCE_DATE_EPOCH"] = epoch
	}
	for k, v := range r.Args {
		attrs["build-arg:"+k] = v
	}
	for k, v := range r.Labels {
		attrs["label:"+k] = v
	}
	if r.Target != "" {
		attrs["target"] = r.Target
	}
	if r.NoCache {
		attrs["no-cache"] = ""
	}
	if r.Pull {
		attrs["image-resolve-mode"] = "pull"
	}
	return attrs
}

// recording is the request with a label that says what was emulated: an image
// that is looked at months later still tells.
func (r Request) recording(n Nativeness) Request {
	if len(n.Emulated) == 0 {
		return r
	}
	labels := map[string]string{}
	maps.Copy(labels, r.Labels)
	labels[LabelEmulated] = fmt.Sprintf("%s of %s on %s", n.Emulation(), n.Target, n.Worker)
	r.Labels = labels
	return r
}

// sourceEpoch is the time of the source, from the created label, in the form
// that BuildKit's frontend takes for the times inside an image (since its
// version 1.5; an older one leaves the argument alone). With it the same source
// gives the same image.
func sourceEpoch(r Request) (string, bool) {
	t, err := time.Parse(time.RFC3339, r.Labels[labelCreated])
	if err != nil {
		return "", false
	}
	return strconv.FormatInt(t.Unix(), 10), true
}

// sharedKey names the context, so that an engine that has seen it asks for
// changed files only.
func sharedKey(dir string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return digest.FromString("weelo-deploy\x00" + host + "\x00" + dir).Encoded()
}

// Unavailable is the failure CodeNoEngine of an engine that could not be
// opened or does not answer, with what to try.
func Unavailable(err error) error {
	var f *event.Failure
	if err == nil || errors.As(err, &f) {
		return err
	}
	f = event.Fail(event.CodeNoEngine, err.Error()).Because(err)
	var u *engine.UnreachableError
	if errors.As(err, &u) {
		f.Message, f.Cause = u.Error(), u // the rest only says the same again
		f.Hint(u.Hints...)
	}
	return f
}
