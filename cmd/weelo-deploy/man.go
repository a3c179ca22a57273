package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weelo/weelo-deploy/internal/event"
)

// newManCommand writes the man pages of packages (scripts/release/extras). Nobody
// else needs it.
func newManCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write man pages into a folder", Args: oneArg("DIR", false), Hidden: true,
		Example: "  weelo-deploy man ./man && man -l ./man/weelo-deploy-release.1",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.begin("man")
			if err != nil {
				return err
			}
			if err := writeManPages(cmd.Root(), args[0]); err != nil {
				return s.refuse(event.Fail(event.CodeUsage, "man pages cannot be written").Because(err))
			}
			return nil
		},
	}
}

func writeManPages(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	info, _ := debug.ReadBuildInfo()
	v := readVersion(version, commit, date, info)
	day, _, _ := strings.Cut(v.Date, "T") // of the commit: equal sources give equal pages
	for _, cmd := range documented(root) {
		path := filepath.Join(dir, manName(cmd)+".1")
		if err := os.WriteFile(path, []byte(manPage(cmd, day)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// documented is cmd and all commands below it that help names.
func documented(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if !c.Hidden && c.Name() != "help" {
			all = append(all, documented(c)...)
		}
	}
	return all
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage is the help of a command as a man page. Texts keep their lines: they are
// laid out for a terminal of 80 columns already.
func manPage(cmd *cobra.Command, day string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 %q weelo\\-deploy\n", roffText(strings.ToUpper(manName(cmd))), day)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roffText(manName(cmd)), roffText(cmd.Short))
	usage := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		usage = cmd.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", roffText(usage))
	if text := strings.TrimSpace(cmd.Long); text != "" {
		b.WriteString(".SH DESCRIPTION\n" + roffLines(cmd.Long))
	}
	b.WriteString(roffFlags("OPTIONS", cmd.NonInheritedFlags()))
	b.WriteString(roffFlags("OPTIONS OF EVERY COMMAND", cmd.InheritedFlags()))
	if cmd.Example != "" {
		b.WriteString(".SH EXAMPLES\n" + roffLines(cmd.Example))
	}
	b.WriteString(".SH SEE ALSO\n" + strings.Join(seeAlso(cmd), ", ") + "\n")
	return b.String()
}

func roffFlags(title string, flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" {
			name += " " + value
		}
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s\n", roffText(name), roffText(usage))
	})
	if b.Len() == 0 {
		return ""
	}
	return ".SH " + title + "\n" + b.String()
}

// seeAlso are the pages of the command above, of those below, and of the topics.
func seeAlso(cmd *cobra.Command) []string {
	pages := []*cobra.Command{}
	if cmd.HasParent() {
		pages = append(pages, cmd.Parent())
	}
	if cmd.HasSubCommands() {
		for _, c := range documented(cmd) {
			if c.Parent() == cmd {
				pages = append(pages, c)
			}
		}
	} else if topic, _, err := cmd.Root().Find([]string{"exit-codes"}); err == nil && topic != cmd {
		pages = append(pages, topic)
	}
	names := make([]string, len(pages))
	for i, p := range pages {
		names[i] = "\\fB" + roffText(manName(p)) + "\\fR(1)"
	}
	return names
}

// roffLines keeps a text's lines as they are.
func roffLines(text string) string {
	var b strings.Builder
	b.WriteString(".nf\n")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		b.WriteString(roffText(line) + "\n")
	}
	b.WriteString(".fi\n")
	return b.String()
}

// roffText is one line in which nothing is a command of roff.
func roffText(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	return line
}
