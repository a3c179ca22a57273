package output

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestGitHub_escapesCommands(t *testing.T) {
	var b bytes.Buffer
	p := newGitHubPrinter(&b, nil, "")
	p.annotate(bad, "100%: a, b\n", "50%\r\nnext: x, y", "", 0)
	if got, want := b.String(), "::error title=100%25%3A a%2C b%0A::50%25%0D%0Anext: x, y\n"; got != want {
		t.Errorf("command = %q, want %q", got, want)
	}
}

func TestGitHub_pointsAtTheConfiguration(t *testing.T) {
	f := event.Fail(event.CodeConfig, `weelo-deploy.yaml:3:7: unknown key "clustr"`).Hint(`did you mean "cluster"?`)
	got := draw(t, GitHub, nil, step{0, "", failed(event.Refused, 2, f)}).stderr.String()
	want := `::error title=weelo-deploy%3A CONFIG,file=weelo-deploy.yaml,line=3,col=7::weelo-deploy.yaml:3:7: unknown key "clustr"%0Adid you mean "cluster"?`
	if !strings.Contains(got, want+"\n") {
		t.Errorf("stderr = %s\nwant it to hold %s", got, want)
	}
}

func TestGitHub_pointsAtTheDockerfile(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ workspace, file, want string }{
		"from the root of the checkout": {filepath.Dir(dir), filepath.Join(dir, "Dockerfile"), "file=output/Dockerfile,line=4"},
		"without a checkout":            {"", "Dockerfile", "file=Dockerfile,line=4"},
		"outside of it":                 {filepath.Join(dir, "x"), "/etc/Dockerfile", "file=/etc/Dockerfile,line=4"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			newGitHubPrinter(&b, nil, c.workspace).annotate(bad, "t", "build step failed", c.file, 4)
			if want := "::error title=t," + c.want + "::build step failed\n"; b.String() != want {
				t.Errorf("command = %q, want %q", b.String(), want)
			}
		})
	}
}

func TestGitHub_annotationsAreBounded(t *testing.T) {
	f := event.Fail(event.CodeConfig, "one")
	for i := range 30 {
		f.Also = append(f.Also, event.Fail(event.CodeConfig, fmt.Sprint(i)))
	}
	got := draw(t, GitHub, nil, step{0, "", failed(event.Refused, 2, f)}).stderr.String()
	if n := strings.Count(got, "::error "); n != mostAnnotations {
		t.Errorf("%d annotations, want %d", n, mostAnnotations)
	}
	if n := strings.Count(got, "\nerror: "); n != 31 {
		t.Errorf("%d errors in the report, want all 31", n)
	}
}

// Every fence has a token of its own, and every fence and group is closed.
func TestGitHub_fences(t *testing.T) {
	var b bytes.Buffer
	o, err := New(Options{Mode: "github", Stdout: &bytes.Buffer{}, Stderr: &b})
	if err != nil {
		t.Fatal(err)
	}
	stream := event.NewStream(nil, o)
	for _, s := range crashRun() {
		stream.In(s.stage)(s.event)
	}
	seen := map[string]bool{}
	fence, groups := "", 0
	for _, l := range strings.Split(b.String(), "\n") {
		switch token, opens := strings.CutPrefix(l, "::stop-commands::"); {
		case opens && fence != "":
			t.Errorf("a fence in a fence: %q", l)
		case opens:
			if fence = token; seen[token] || len(token) < 20 {
				t.Errorf("the token %q is used again or short", token)
			}
			seen[token] = true
		case fence != "" && l == "::"+fence+"::":
			fence = ""
		case strings.HasPrefix(l, "::group::") && fence == "":
			groups++
		case l == "::endgroup::" && fence == "":
			groups--
		}
		if groups < 0 || groups > 1 {
			t.Errorf("%d groups are open at %q", groups, l)
		}
	}
	if fence != "" || groups != 0 || len(seen) < 3 {
		t.Errorf("open fence %q, open groups %d, %d fences, want none open and at least 3 fences", fence, groups, len(seen))
	}
}
