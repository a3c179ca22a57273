package image

import (
	"errors"
	"fmt"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Judge compares the platforms in d with those that are wanted. It finds
// nothing, or a *event.Failure with CodePlatformMismatch for each place that
// disagrees, joined: the index's entry, the manifest, the config, and the
// requirements among each other; and layers that ECS cannot unpack.
func Judge(d Description, want []Requirement) error {
	var errs []error
	groups := grouped(want)
	if len(groups) > 1 {
		errs = append(errs, disagreement(groups))
	}
	if !d.Config.known() {
		errs = append(errs, d.lie("the config of image %s names %s", d.Reference, d.Config).
			Hint("build it anew; an image that names no platform starts on machines that it was not made for"))
	}
	if d.Descriptor != nil && !d.Descriptor.is(d.Config) {
		errs = append(errs, d.lie("the index says that image %s is %s, its config says %s", d.Reference, d.Descriptor, d.Config).
			Hint("pull programs trust one or the other; build and push it anew for one platform"))
	}
	if d.Declared != nil && !d.Declared.is(d.Config) {
		errs = append(errs, d.lie("the manifest says that the config of image %s is %s, the config says %s", d.Reference, d.Declared, d.Config).
			Hint("pull programs trust one or the other; build and push it anew for one platform"))
	}
	for _, g := range groups {
		if d.Descriptor != nil && !d.Descriptor.is(g.platform) {
			errs = append(errs, d.wrong("the index", *d.Descriptor, g))
		}
		if d.Declared != nil && !d.Declared.is(g.platform) {
			errs = append(errs, d.wrong("the manifest", *d.Declared, g))
		}
		if d.Config.known() && !d.Config.is(g.platform) {
			errs = append(errs, d.wrong("the config", d.Config, g))
		}
	}
	return errors.Join(append(append(errs, d.judgeVersions()...), d.judgeLayers()...)...)
}

// group is one platform and all who want it.
type group struct {
	platform Platform
	from     []string
}

func (g group) who() string { return strings.Join(g.from, " and ") }

func (g group) verb() string {
	if len(g.from) > 1 {
		return "want"
	}
	return "wants"
}

func grouped(want []Requirement) []group {
	var groups []group
next:
	for _, w := range want {
		for i := range groups {
			if groups[i].platform.is(w.Platform) {
				groups[i].from = append(groups[i].from, w.From)
				continue next
			}
		}
		groups = append(groups, group{w.Platform.normal(), []string{w.From}})
	}
	return groups
}

func disagreement(groups []group) *event.Failure {
	var says []string
	for _, g := range groups {
		says = append(says, fmt.Sprintf("%s %s %s", g.who(), g.verb(), g.platform))
	}
	return event.Fail(event.CodePlatformMismatch, "the configuration contradicts itself: "+strings.Join(says, ", ")).
		Hint("set build.platform to what the task definition's runtimePlatform says, or change that one")
}

// lie is a failure with the image as evidence.
func (d Description) lie(format string, a ...any) *event.Failure {
	f := event.Fail(event.CodePlatformMismatch, fmt.Sprintf(format, a...))
	if d.Digest != "" {
		f.See("manifest " + d.Digest)
	}
	if d.Index != "" {
		f.See("index " + d.Index)
	}
	if d.ConfigDigest != "" {
		f.See("config " + d.ConfigDigest)
	}
	return f
}

func (d Description) wrong(where string, has Platform, g group) *event.Failure {
	f := d.lie("%s of image %s says %s, %s %s %s", where, d.Reference, has, g.who(), g.verb(), g.platform)
	if has.OS == g.platform.OS && has.Architecture == g.platform.Architecture {
		return f.Hint("the image is made for a newer kind of " + has.Architecture + " processor than every machine has; build it without a variant")
	}
	return f.Hint("build it for "+g.platform.String()+" on a machine of that kind; a task of an image for "+has.Architecture+" stops with CannotPullContainerError or exec format error",
		"a Dockerfile's FROM --platform=… and the DOCKER_DEFAULT_PLATFORM variable change what is built")
}
