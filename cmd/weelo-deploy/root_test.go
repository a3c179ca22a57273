package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestTheVersionFlagPrintsWhatTheVersionCommandPrints(t *testing.T) {
	for _, more := range [][]string{nil, {"--json"}} {
		said := func(arg string) string {
			var out, err bytes.Buffer
			a := &app{stdout: &out, stderr: &err, getenv: func(string) string { return "" }}
			if code := a.run(t.Context(), append([]string{arg}, more...)); code != 0 {
				t.Fatalf("%s ends with %d: %s", arg, code, err.String())
			}
			return out.String()
		}
		if flag, command := said("--version"), said("version"); flag != command || flag == "" {
			t.Errorf("--version prints %q, version prints %q", flag, command)
		}
	}
}

// upperCase is what stands for a flag's value in the help.
var upperCase = regexp.MustCompile(`^[A-Z]+([/:=][A-Z]+)?$`)

func TestEveryFlagThatTakesAValueNamesItOnceInUpperCase(t *testing.T) {
	for _, cmd := range documented(newRootCommand(&app{getenv: func(string) string { return "" }})) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			name, text := pflag.UnquoteUsage(f)
			switch {
			case f.Value.Type() == "bool":
			case !upperCase.MatchString(name):
				t.Errorf("%s --%s stands before %q", cmd.CommandPath(), f.Name, name)
			case f.Name == "output" && !strings.HasPrefix(text, name):
				t.Errorf("%s --%s %s says its placeholder after a list of words: %s", cmd.CommandPath(), f.Name, name, text)
			}
		})
	}
}

func TestTheEnvironmentTopicNamesWhatTheDocumentsName(t *testing.T) {
	doc, err := os.ReadFile("../../docs/output.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR"} {
		if !regexp.MustCompile("(?m)^  "+name+" ").MatchString(environmentTopic().Long) || !regexp.MustCompile("`"+name+"[`=]").Match(doc) {
			t.Errorf("%s is not both in the topic environment and in docs/output.md", name)
		}
	}
}

func TestOneRuleSaysWhetherThisIsCI(t *testing.T) {
	for value, ci := range map[string]bool{"": false, "0": false, "false": false, "true": true, "1": true} {
		getenv := func(name string) string { return map[string]string{"CI": value}[name] }
		a := &app{stdinTerminal: true, stderrTerminal: true, getenv: getenv}
		if a.interactive() == ci {
			t.Errorf("CI=%s: interactive() = %t", value, !ci)
		}
		done := make(chan struct{})
		if got := orphanedInCI(getenv, func() int { return 7 }, 1<<40, done) != nil; got != ci {
			t.Errorf("CI=%s: orphanedInCI watches the parent: %t", value, got)
		}
		close(done)
	}
}
