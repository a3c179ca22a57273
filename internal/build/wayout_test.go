package build

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestCheck_WaysOutOfThisProject(t *testing.T) {
	const file = `FROM golang:1.26 AS base
RUN apt-get update
FROM base AS build
RUN go build
FROM node:20
COPY --from=build /x /x
RUN npm ci
`
	dir := write(t, map[string]string{"app/Dockerfile": file, ".github/workflows/deploy.yml": "", ".github/workflows/test.yaml": "", ".git": "gitdir: x"})
	_, err := New(newFakeEngine(t, "arm64", arm64)).Check(t.Context(), request(dir+"/app"))
	hints := strings.Join(event.FailuresOf(err)[0].Hints, "\n")
	for _, want := range []string{
		"line 1: FROM --platform=$BUILDPLATFORM golang:1.26 AS base; its steps",
		"runs-on: ubuntu-latest; this project has .github/workflows/deploy.yml, .github/workflows/test.yaml",
	} {
		if !strings.Contains(hints, want) {
			t.Errorf("hints do not say %q:\n%s", want, hints)
		}
	}
	if strings.Contains(hints, "$BUILDPLATFORM node:20") {
		t.Errorf("hints would make the image itself one of the builder's:\n%s", hints)
	}
}

func TestWorkflows_EndAtTheWorkTree(t *testing.T) {
	dir := write(t, map[string]string{".github/workflows/outer.yml": "", "inner/.git": "gitdir: x"})
	if got := workflows(dir + "/inner"); len(got) != 0 {
		t.Errorf("workflows = %q, want none of another repository", got)
	}
}
