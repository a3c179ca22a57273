package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

// write puts files into a new folder and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestResolve_WhichStepsAreEmulated(t *testing.T) {
	for _, c := range []struct {
		name, file, target string
		args               map[string]string
		contexts           []namedContext
		want               []string // "platform step" on an arm64 worker building for amd64
		images             []string // "reference platform"; nil: not looked at
	}{
		{name: "a plain build runs for the target", file: "FROM node:20\nRUN npm ci\n",
			want: []string{"linux/amd64 [stage-0] RUN npm ci (line 2)"}},
		{name: "copying runs nothing", file: "FROM node:20\nCOPY . .\nADD x y\nENV A=b\nWORKDIR /w\nCMD [\"a\"]\n"},
		{name: "a cross build runs on the worker", file: "FROM --platform=$BUILDPLATFORM golang AS b\nARG TARGETARCH\nRUN go build\nFROM scratch\nCOPY --from=b /x /x\n",
			want: []string{"linux/arm64 [b] RUN go build (line 3)"}},
		{name: "braces and defaults in --platform", file: "FROM --platform=${BUILDPLATFORM:-linux/386} golang AS b\nRUN go build\nFROM scratch\nCOPY --from=b /x /x\n",
			want: []string{"linux/arm64 [b] RUN go build (line 2)"}},
		{name: "a stage keeps the platform of the stage it begins from", file: "FROM --platform=$BUILDPLATFORM a AS one\nFROM --platform=linux/amd64 one AS two\nRUN x\n",
			want: []string{"linux/arm64 [two] RUN x (line 3)"}},
		{name: "scratch has the target's platform", file: "FROM --platform=linux/arm64 scratch\nRUN [\"/x\"]\n",
			want: []string{"linux/amd64 [stage-0] RUN [\"/x\"] (line 2)"}},
		{name: "stages that the target does not need do not count", file: "FROM a AS unused\nRUN one\nFROM b AS last\nCOPY x y\n"},
		{name: "a named target", file: "FROM a AS first\nRUN one\nFROM b AS last\nRUN two\n", target: "FIRST",
			want: []string{"linux/amd64 [first] RUN one (line 2)"}},
		{name: "stages reached by name, number and mount", file: "FROM a AS one\nRUN 1\nFROM b\nRUN 2\nFROM c AS three\nRUN 3\nFROM d AS four\nRUN 4\nFROM scratch\nCOPY --from=one x x\nCOPY --from=1 y y\nRUN --mount=type=bind,from=three,target=/t 5\n",
			want: []string{"linux/amd64 [one] RUN 1 (line 2)", "linux/amd64 [stage-1] RUN 2 (line 4)", "linux/amd64 [three] RUN 3 (line 6)",
				"linux/amd64 [stage-4] RUN --mount=type=bind,from=three,target=/t 5 (line 12)"}},
		{name: "a copy from an image", file: "FROM scratch\nCOPY --from=busybox:1 /bin/sh /sh\n"},
		{name: "arguments before FROM", file: "ARG WHERE=$BUILDPLATFORM\nARG BASE=node\nFROM --platform=$WHERE ${BASE}:20\nRUN x\n",
			want: []string{"linux/arm64 [stage-0] RUN x (line 4)"}},
		{name: "arguments from outside", file: "ARG WHERE=$BUILDPLATFORM\nFROM --platform=$WHERE a\nRUN x\n", args: map[string]string{"WHERE": "linux/arm/v7"},
			want: []string{"linux/arm/v7 [stage-0] RUN x (line 3)"}},
		{name: "a platform argument that is overridden", file: "FROM --platform=$BUILDPLATFORM a\nRUN x\n", args: map[string]string{"BUILDPLATFORM": "linux/amd64"},
			want: []string{"linux/amd64 [stage-0] RUN x (line 2)"}},
		{name: "ONBUILD runs where the stage is used", file: "FROM a AS base\nONBUILD RUN later\nFROM base AS app\nCOPY . .\n",
			want: []string{"linux/amd64 [app] RUN later (line 1)"}},
		{name: "heredocs and continuations", file: "FROM a\nRUN <<EOF\nFROM b\nRUN c\nEOF\nRUN one && \\\n  two\n",
			want: []string{"linux/amd64 [stage-0] RUN <<EOF (line 2)", "linux/amd64 [stage-0] RUN one &&   two (line 6)"}},
		{name: "base images, as they are named in the end", file: "ARG TAG=20\nFROM --platform=$BUILDPLATFORM golang AS b\nFROM scratch AS s\nFROM unused\nFROM node:$TAG\nCOPY --from=b /x /x\nCOPY --from=s /y /y\n",
			images: []string{"golang linux/arm64", "node:20 linux/amd64"}},
		{name: "a context in place of an image", file: "FROM node:20 AS app\nRUN x\n", contexts: []namedContext{{name: "node:20", image: "mirror/node:20"}},
			want: []string{"linux/amd64 [app] RUN x (line 2)"}, images: []string{"mirror/node:20 linux/amd64"}},
		{name: "a folder in place of an image", file: "FROM root\nRUN x\n", contexts: []namedContext{{name: "root", dir: "/d"}},
			want: []string{"linux/amd64 [stage-0] RUN x (line 2)"}, images: []string{}},
		{name: "a context in place of a stage", file: "FROM a AS deps\nRUN not this\nFROM b\nCOPY --from=deps /x /x\nRUN y\n", contexts: []namedContext{{name: "deps", dir: "/d"}},
			want: []string{"linux/amd64 [stage-1] RUN y (line 5)"}, images: []string{"b linux/amd64"}},
		{name: "another escape character", file: "# escape=`\nFROM a\nRUN one `\n  two\n",
			want: []string{"linux/amd64 [stage-0] RUN one   two (line 3)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := readDockerfile(filepath.Join(write(t, map[string]string{"Dockerfile": c.file}), "Dockerfile"))
			if err != nil {
				t.Fatal(err)
			}
			g, err := d.resolve(platforms.MustParse("linux/arm64"), platforms.MustParse("linux/amd64"), c.args, inputs{contexts: c.contexts}.context)
			if err != nil {
				t.Fatal(err)
			}
			needed, ok := g.needed(c.target)
			if !ok {
				t.Fatalf("needed(%q): no such stage", c.target)
			}
			steps, images := parts(needed)
			if c.images != nil && !slices.EqualFunc(images, c.images, func(i baseImage, s string) bool { return i.ref+" "+platforms.Format(i.platform) == s }) {
				t.Errorf("images = %+v, want %q", images, c.images)
			}
			var got []string
			for _, s := range steps {
				got = append(got, platforms.Format(s.platform)+" "+s.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("runs(%q) (-want +got):\n%s", c.target, diff)
			}
		})
	}
}

func TestResolve_Refuses(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"a base without a value", "ARG BASE\nFROM $BASE\n", "line 2: FROM $BASE names no image"},
		{"a platform without a value", "FROM --platform=$WHERE a\n", "line 1: --platform=$WHERE is empty"},
		{"a platform that is none", "FROM --platform=a/b/c/d a\n", "line 1: --platform=a/b/c/d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := readDockerfile(filepath.Join(write(t, map[string]string{"Dockerfile": c.file}), "Dockerfile"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.resolve(platforms.MustParse("linux/amd64"), platforms.MustParse("linux/amd64"), nil, inputs{}.context)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("resolve = %v, want %q", err, c.want)
			}
		})
	}
}

func TestReadDockerfile_Refuses(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"an unknown instruction", "FROM a\nRNU x\n", "RNU"},
		{"an empty file", "", "file with no instructions"},
		{"no FROM", "ARG a\n", "it has no FROM"},
		{"a step before FROM", "RUN x\n", "no build stage in current context"},
		{"a broken flag", "FROM --platfrom=x a\n", "platfrom"},
		{"bytes", "\x00\xff\xfe\n", "Dockerfile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readDockerfile(filepath.Join(write(t, map[string]string{"Dockerfile": c.file}), "Dockerfile"))
			if err == nil || !strings.Contains(err.Error(), c.want) || event.FailuresOf(err)[0].Code != event.CodeUsage {
				t.Errorf("readDockerfile = %v, want a USAGE failure with %q", err, c.want)
			}
		})
	}
}

func TestReadDockerfile_ShowsTheLine(t *testing.T) {
	_, err := readDockerfile(filepath.Join(write(t, map[string]string{"Dockerfile": "FROM a\n  RNU x\n"}), "Dockerfile"))
	if got := event.FailuresOf(err)[0].Evidence; len(got) != 1 || got[0] != "line 2: RNU x" {
		t.Errorf("evidence = %q, want the line", got)
	}
}

func TestReadDockerfile_MissingNamesThoseBeside(t *testing.T) {
	dir := write(t, map[string]string{"Dockerfile.production": "FROM a\n"})
	_, err := readDockerfile(filepath.Join(dir, "Dockerfile"))
	f := event.FailuresOf(err)[0]
	if f.Code != event.CodeUsage || !strings.Contains(strings.Join(f.Hints, ""), "Dockerfile.production") {
		t.Errorf("readDockerfile = %v with hints %q, want Dockerfile.production named", err, f.Hints)
	}
}

func TestReadDockerfile_CustomFrontend(t *testing.T) {
	d, err := readDockerfile(filepath.Join(write(t, map[string]string{"f": "# syntax=example.com/other:1\nwhat: is this\n"}), "f"))
	if err != nil || d.opaque == nil || d.syntax != "example.com/other:1" {
		t.Errorf("readDockerfile = %+v, %v; want it opaque", d, err)
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("FROM a AS b\nRUN --mount=from=b x\nFROM b\nCOPY --from=0 a b\nONBUILD RUN y\n", "b")
	f.Add("ARG A=${A:-b}\nFROM --platform=$A c\n", "")
	f.Fuzz(func(t *testing.T, file, target string) {
		d := dockerfile{escape: '\\'}
		if d.parse([]byte(file)) != nil {
			return
		}
		g, err := d.resolve(platforms.MustParse("linux/arm64"), platforms.MustParse("linux/amd64"), nil, inputs{}.context)
		if err == nil {
			g.needed(target)
		}
	})
}
