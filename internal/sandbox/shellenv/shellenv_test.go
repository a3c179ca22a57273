package shellenv_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/shellenv"
)

func TestNamed_knowsShellsByNameAndPath(t *testing.T) {
	for program, want := range map[string]shellenv.Shell{
		"sh": shellenv.POSIX, "/usr/bin/bash": shellenv.POSIX, "-zsh": shellenv.POSIX, "/bin/busybox": shellenv.POSIX, "/bin/dash\n": shellenv.POSIX,
		"/opt/homebrew/bin/fish": shellenv.Fish, "pwsh": shellenv.PowerShell, `C:\Windows\System32\WindowsPowerShell\v1.0\PowerShell.exe`: shellenv.PowerShell,
		"make": "", "": "", "/usr/bin/python3.12": "", "cmd.exe": "",
	} {
		if got, ok := shellenv.Named(program); got != want || ok != (want != "") {
			t.Errorf("Named(%q) is %q, %t, want %q", program, got, ok, want)
		}
	}
}

func TestScript_isInTheWordsOfEachShell(t *testing.T) {
	env, unset := []string{"A=plain", `B=it's a \ and ’`}, []string{"AWS_PROFILE"}
	for shell, want := range map[shellenv.Shell]string{
		shellenv.POSIX:      "unset AWS_PROFILE\nexport A='plain'\nexport B='it'\\''s a \\ and ’'\n",
		shellenv.Fish:       "set -e AWS_PROFILE\nset -gx A 'plain'\nset -gx B 'it\\'s a \\\\ and ’'\n",
		shellenv.PowerShell: "$env:AWS_PROFILE = $null\n$env:A = 'plain'\n$env:B = 'it''s a \\ and ’’'\n",
	} {
		if d := cmp.Diff(want, shellenv.Script(shell, env, unset)); d != "" {
			t.Errorf("%s (-want +got):\n%s", shell, d)
		}
	}
}

func TestScript_givesARealShellTheValuesToTheByte(t *testing.T) {
	value := "it's \"$HOME\" `x` \\ \n end"
	cmd := exec.Command("/bin/sh", "-c", shellenv.Script(shellenv.POSIX, []string{"V=" + value}, []string{"GONE"})+`printf '%s|%s' "$V" "${GONE-unset}"`)
	cmd.Env = append(os.Environ(), "GONE=there")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := value + "|unset"; string(out) != want {
		t.Errorf("the shell has %q, want %q", out, want)
	}
}

func TestMerge_leadsNowhereElse(t *testing.T) {
	environ := []string{"PATH=/bin", "AWS_PROFILE=prod", "AWS_ENDPOINT_URL_ECS=https://ecs.example", "AWS_ENDPOINT_URL=https://aws.example", "AWS_SESSION_TOKEN=t",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "AWS_PAGER=less", "AWS_USE_FIPS_ENDPOINT=true"}
	got := shellenv.Merge(environ, []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_REGION=r"})
	if d := cmp.Diff([]string{"PATH=/bin", "AWS_PAGER=less", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_REGION=r"}, got); d != "" {
		t.Errorf("Merge (-want +got):\n%s", d)
	}
	want := "AWS_ENDPOINT_URL_ECS AWS_IGNORE_CONFIGURED_ENDPOINT_URLS AWS_PROFILE AWS_SESSION_TOKEN AWS_USE_FIPS_ENDPOINT"
	if got := strings.Join(shellenv.Rivals(environ), " "); got != want {
		t.Errorf("Rivals is %s, want %s", got, want)
	}
	if environ[1] != "AWS_PROFILE=prod" {
		t.Error("Merge changed the environment that it was given")
	}
}
