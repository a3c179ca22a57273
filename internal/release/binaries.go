package release

import (
	"context"
	"fmt"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/scan"
)

// scanBinaries looks inside the image: whether the program that starts, what it
// links, and the add-ons that it loads later are for the machine and the C library
// that they will meet. An image that cannot be read that way is told and not
// refused, unless it was built under emulation.
func (r *Run) scanBinaries(ctx context.Context, e Engine) error {
	emit := r.out.In("verify")
	rep, err := r.scanImage(ctx, e)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && r.Build.AllowEmulation:
		return event.Fail(event.CodeBinaryMismatch, "an image that was built under emulation has to be looked into, and this one cannot be read").Because(err)
	case err != nil:
		emit(event.Check{Name: "binaries", Status: event.Warned, Detail: fmt.Sprintf("the image could not be looked into: %v", err)})
		return nil
	}
	for _, n := range rep.Notes() {
		emit(n)
	}
	if f := rep.Failure(); f != nil {
		emit(event.Check{Name: "binaries", Status: event.Failed, Detail: rep.Summary(), Code: f.Code})
		return f
	}
	emit(event.Check{Name: "binaries", Status: event.Done, Detail: rep.Summary()})
	return nil
}

func (r *Run) scanImage(ctx context.Context, e Engine) (scan.Report, error) {
	_, c, err := r.asReleased()
	if err != nil {
		return scan.Report{}, err
	}
	saved, err := e.Save(ctx, r.artifact.localID)
	if err != nil {
		return scan.Report{}, err
	}
	defer saved.Close()
	// Without a folder for it the cache is only missing: the next release reads the
	// layers again.
	cache, _ := scan.UserCache()
	os, arch, _ := strings.Cut(r.Build.Platform, "/")
	return scan.Image(ctx, scan.FromSave(saved), scan.Target{OS: os, Arch: arch}, scan.Options{
		Allow: r.Allow, Cache: cache, Entrypoint: c.EntryPoint, Command: c.Command,
	})
}
