package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"
)

// completed are the words that a shell would offer, without descriptions.
func (d *desk) completed(args ...string) []string {
	d.t.Helper()
	out, _, code := d.run(append([]string{"__complete"}, args...)...)
	if code != 0 {
		d.t.Errorf("completing %q ends with %d", args, code)
	}
	var words []string
	for line := range strings.Lines(out) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(line, ":") {
			words = append(words, word)
		}
	}
	return words
}

func TestCompletion_knowsNamesOfTheAccountAndTheFile(t *testing.T) {
	d := sit(t, strings.Replace(deskSeed, "clusters: [", "clusters: [{name: other}, ", 1))
	d.write("weelo-deploy.yaml", deskConfig+"environments: {staging: {}, production: {cluster: other}}\n")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"status", "--cluster", ""}, "other weelocluster"}, {[]string{"status", "--cluster", "w"}, "weelocluster"},
		{[]string{"status", "--service", ""}, "backend"}, {[]string{"status", "--env", "production", "--service", ""}, ""},
		{[]string{"status", "--env", ""}, "production staging"}, {[]string{"rollback", ""}, "27"}, {[]string{"rollback", "27", ""}, ""},
		{[]string{"logs", "--revision", ""}, "27"}, {[]string{"release", "--output", "j"}, "json"}, {[]string{"release", "--base", ""}, "current latest"},
		{[]string{"release", "--on-interrupt", "d"}, "detach"}, {[]string{"status", "--cluster", "nowhere", "--service", ""}, ""}, {[]string{"doctor", ""}, ""},
	} {
		if got := strings.Join(d.completed(test.args...), " "); got != test.want {
			t.Errorf("completing %q gives %q, want %q", test.args, got, test.want)
		}
	}
	out, _, _ := d.run("__complete", "rollback", "")
	wants(t, "revisions", out, "27\tsucceeded 3d ago\n", ":36\n") // no files, and newest first
}

func TestCompletion_isSilentWithoutAnAccount(t *testing.T) {
	d := sit(t, deskSeed)
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	d.write("weelo-deploy.yaml", "cluster: [\n")
	for _, args := range [][]string{{"status", "--cluster", ""}, {"status", "--env", ""}, {"rollback", "--cluster", "a", "--service", "b", ""}} {
		if got := d.completed(args...); got != nil {
			t.Errorf("completing %q gives %q", args, got)
		}
	}
}

func TestCompletion_waitsNoLongerThanAShellMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := completes(func(ctx context.Context) []string {
			<-ctx.Done()
			return nil
		})
		f(&cobra.Command{}, nil, "")
		if took := time.Since(began); took != completeTime {
			t.Errorf("the completion took %s", took)
		}
	})
}

func TestCompletion_everyShellHasAScript(t *testing.T) {
	d := sit(t, deskSeed)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, _, code := d.run("completion", shell); code != 0 || !strings.Contains(out, "__complete") {
			t.Errorf("completion %s ends with %d and prints %d bytes", shell, code, len(out))
		}
	}
}
