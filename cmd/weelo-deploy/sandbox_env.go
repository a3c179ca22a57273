package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/sandbox/background"
	"github.com/weelo/weelo-deploy/internal/sandbox/shellenv"
)

func newSandboxEnvCommand(a *app) *cobra.Command {
	var name, shell string
	cmd := &cobra.Command{
		Use: "env", Short: "Print what turns a shell to a sandbox", Args: noArgs,
		Long: `env prints the environment of a sandbox in the background as commands for the
shell that runs it: sh, bash and zsh, fish, or PowerShell. Variables that are
set and would win over it are unset.`,
		Example: `  eval "$(weelo-deploy sandbox env)"
  weelo-deploy sandbox env --shell fish | source
  weelo-deploy sandbox env --shell powershell | Out-String | Invoke-Expression`,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.begin("sandbox env")
			if err != nil {
				return err
			}
			if err := a.sandboxEnv(name, shell); err != nil {
				return s.refuse(err)
			}
			return nil
		},
	}
	a.nameFlag(cmd, &name)
	cmd.Flags().StringVar(&shell, "shell", "", "`SHELL` to write for: sh, fish or powershell (default: the one in use)")
	_ = cmd.RegisterFlagCompletionFunc("shell", completes(choices("sh", "fish", "powershell"))) // the flag is there
	return cmd
}

func (a *app) sandboxEnv(name, shell string) error {
	family := shellInUse(runtime.GOOS, parentProgram(), a.getenv("SHELL"))
	if shell != "" {
		var known bool
		if family, known = shellenv.Named(shell); !known {
			return event.Fail(event.CodeUsage, fmt.Sprintf("--shell is sh, bash, zsh, fish or powershell, not %q", shell))
		}
	}
	b, err := runningSandbox(name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, shellenv.Script(family, b.Env, shellenv.Rivals(a.environ())))
	return err
}

// runningSandbox is the sandbox of the name, which has to answer.
func runningSandbox(name string) (background.Sandbox, error) {
	home, err := sandboxHome(name)
	if err != nil {
		return background.Sandbox{}, err
	}
	b, err := home.Look(name)
	if err == nil && b.State != background.Running {
		err = noSandbox(name)
	}
	return b, err
}

// shellInUse is the shell that reads what we print: the program that started us;
// when that is none, the user's own; when that is not known either, the system's.
func shellInUse(goos, parent, login string) shellenv.Shell {
	for _, program := range []string{parent, login} {
		if s, ok := shellenv.Named(program); ok {
			return s
		}
	}
	if goos == "windows" {
		return shellenv.PowerShell
	}
	return shellenv.POSIX
}

// parentProgram is the path of the program that started us, empty when the system
// does not tell. A script's is its shell.
func parentProgram() string {
	pid := strconv.Itoa(os.Getppid())
	if exe, err := os.Readlink("/proc/" + pid + "/exe"); err == nil {
		return strings.TrimSuffix(exe, " (deleted)")
	}
	out, err := exec.Command("ps", "-o", "comm=", "-p", pid).Output() // macOS; Windows has no ps
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func newSandboxExecCommand(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "exec -- COMMAND [ARG…]", Short: "Run a command that is turned to a sandbox",
		Long: `exec runs a command with the environment of a sandbox in the background, and
without variables that would lead it elsewhere. It ends as the command does, and
signals reach the command.`,
		Example: "  weelo-deploy sandbox exec -- aws ecs list-clusters\n  weelo-deploy sandbox exec --name second -- weelo-deploy status --cluster c --service web",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := swallowed(cmd); err != nil || len(args) > 0 {
				return err
			}
			return fmt.Errorf("%s wants a command to run", cmd.CommandPath())
		},
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.begin("sandbox exec")
			if err != nil {
				return err
			}
			b, err := runningSandbox(name)
			if err != nil {
				return s.refuse(err)
			}
			program, err := exec.LookPath(args[0])
			if err != nil {
				return s.refuse(event.Fail(event.CodeUsage, "the command cannot be run").Because(err))
			}
			code, err := become(program, args, shellenv.Merge(a.environ(), b.Env))
			if err != nil {
				return s.refuse(fmt.Errorf("run %s: %w", args[0], err))
			}
			return exit(code)
		},
	}
	a.nameFlag(cmd, &name)
	cmd.Flags().SetInterspersed(false) // flags after the command are the command's
	return cmd
}
