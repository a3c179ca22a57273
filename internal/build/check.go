package build

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// workersTimeout bounds the question for BuildKit's workers, whose answer is
// immediate where there is one.
const workersTimeout = 40 * time.Second

// Nativeness says what an engine would emulate of a build.
type Nativeness struct {
	Engine   engine.Info
	Worker   string   // BuildKit's own platform, by its own word: "linux/amd64"
	Target   string   // the platform that is built for
	Emulated []string // RUN steps for another platform than the worker's
	Native   bool     // nothing is emulated
	HasRun   bool     // the target needs RUN steps at all
	// Unknown are sentences on base images whose platform could not be read; on an
	// engine that looks at them itself there are none.
	Unknown []string
}

// Emulation is how many steps would be emulated: "1 step".
func (n Nativeness) Emulation() string {
	if len(n.Emulated) == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", len(n.Emulated))
}

// Check finds, without changing anything, what would refuse the build: a
// Dockerfile, context or secret that is not there, a Dockerfile that cannot be
// read, an unknown target (CodeUsage); an engine that is away or has no
// BuildKit (CodeNoEngine); RUN steps that would be emulated (CodeEmulatedBuild),
// unless the request allows them. Steps that only copy run nowhere, and pass,
// as do stages FROM --platform=$BUILDPLATFORM.
func (b *Builder) Check(ctx context.Context, r Request) (Nativeness, error) {
	in, err := b.read(r)
	if err != nil {
		return Nativeness{}, err
	}
	return b.judge(ctx, r, in)
}

func (b *Builder) judge(ctx context.Context, r Request, in inputs) (Nativeness, error) {
	n := Nativeness{Target: platforms.Format(in.platform)}
	var err error
	if n.Engine, err = b.engine.Info(ctx); err != nil {
		return n, Unavailable(err)
	}
	worker, can, err := b.worker(ctx, n.Engine)
	if err != nil {
		return n, err
	}
	n.Worker = platforms.Format(worker)
	if err := in.contextsKnown(n.Engine); err != nil {
		return n, err
	}
	steps, images, err := in.needs(worker, r)
	if err != nil {
		return n, err
	}
	n.HasRun = len(steps) > 0
	var foreign []step
	for _, s := range steps {
		if !runsNatively(worker, s.platform) {
			foreign = append(foreign, s)
			n.Emulated = append(n.Emulated, s.String())
		}
	}
	n.Native = len(foreign) == 0
	if !n.Native && !r.AllowEmulation {
		return n, emulated(r, n, foreign, can, b.engine.Endpoint())
	}
	n.Unknown, err = b.checkBases(ctx, r, in, n.Engine, images)
	return n, err
}

// worker asks BuildKit for its platforms: its own, and all that it can run,
// emulated ones included (archutil of moby/buildkit puts its own first).
func (b *Builder) worker(ctx context.Context, info engine.Info) (own ocispec.Platform, all []string, err error) {
	bk, err := b.dial(ctx)
	if err != nil {
		return own, nil, Unavailable(err)
	}
	defer bk.Close()
	asked, cancel := context.WithTimeout(ctx, workersTimeout)
	defer cancel()
	workers, err := bk.ListWorkers(asked)
	if ctx.Err() != nil {
		return own, nil, fmt.Errorf("ask the engine for its BuildKit: %w", context.Cause(ctx))
	}
	if err != nil || len(workers) == 0 || len(workers[0].Platforms) == 0 {
		return own, nil, event.Fail(event.CodeNoEngine, "the docker engine "+info.Version+" at "+b.engine.Endpoint()+" does not answer as BuildKit").
			Because(err).Hint("use Docker Engine 20.10 or newer, or Docker Desktop; other engines often come without BuildKit")
	}
	for _, p := range workers[0].Platforms {
		all = append(all, platforms.Format(p))
	}
	return platforms.Normalize(workers[0].Platforms[0]), all, nil
}

// needs are the RUN steps and the base images that the target needs.
func (in inputs) needs(worker ocispec.Platform, r Request) ([]step, []baseImage, error) {
	d := in.dockerfile
	if d.opaque != nil { // a custom frontend's file: assume that it runs something
		return []step{{stage: d.name, line: 1, text: "# syntax=" + d.syntax + ", whose steps cannot be read", platform: in.platform}}, nil, nil
	}
	g, err := d.resolve(worker, in.platform, r.Args, in.context)
	if err != nil {
		return nil, nil, event.Fail(event.CodeUsage, "read Dockerfile "+r.Dockerfile).Because(err).
			Hint("give the missing value with build.args or --build-arg NAME=VALUE")
	}
	needed, ok := g.needed(r.Target)
	if !ok {
		return nil, nil, event.Fail(event.CodeUsage, fmt.Sprintf("build target %q is no stage of %s", r.Target, r.Dockerfile)).
			Hint("its named stages: " + list(d.stageNames()))
	}
	steps, images := parts(needed)
	return steps, images, nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// runsNatively reports whether a worker's CPU runs a platform's programs by
// itself. Variants of one architecture do; an amd64 CPU also runs 386 code.
func runsNatively(worker, p ocispec.Platform) bool {
	worker, p = platforms.Normalize(worker), platforms.Normalize(p)
	return worker.OS == p.OS && (worker.Architecture == p.Architecture || worker.Architecture == "amd64" && p.Architecture == "386")
}
