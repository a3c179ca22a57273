package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// asker asks questions on the terminal. Without one, a question is an error that
// names the flag which answers it.
type asker struct {
	ctx      context.Context
	in       *bufio.Reader
	out      io.Writer
	terminal bool
	yes      bool // take the first choice
}

func (a *app) asker(ctx context.Context) *asker {
	return &asker{ctx: ctx, in: bufio.NewReader(a.stdin), out: a.stderr, terminal: a.interactive(), yes: a.flags.yes}
}

// mostChoices bounds a list on the screen; a name can be typed whatever is shown.
const mostChoices = 20

// choose gives one of the choices. The only one, and the first where it is a
// default and --yes is given or nobody can be asked, is taken without a question.
func (a *asker) choose(what, flag string, choices []string, first bool) (string, error) {
	switch {
	case len(choices) == 1, len(choices) > 1 && first && (a.yes || !a.terminal):
		return choices[0], nil
	case len(choices) == 0:
		return "", event.Fail(event.CodeNotFound, "no "+what+" is visible here").Hint("check region and account, or name it: " + flag)
	case !a.terminal || a.yes:
		return "", event.Fail(event.CodeUsage, fmt.Sprintf("there are several: which %s is meant?", what)).
			Hint(flag+" is one of "+some(choices), "on a terminal init asks")
	}
	fmt.Fprintf(a.out, "\n%s:\n", strings.ToUpper(what[:1])+what[1:])
	for i, c := range choices[:min(mostChoices, len(choices))] {
		fmt.Fprintf(a.out, "  %2d  %s\n", i+1, words.Clean(c))
	}
	if n := len(choices) - mostChoices; n > 0 {
		fmt.Fprintf(a.out, "      … and %d more\n", n)
	}
	for {
		fmt.Fprint(a.out, "Number or name [1]: ")
		answer, err := a.line()
		if err != nil {
			return "", err
		}
		if c, ok := picked(answer, choices); ok {
			return c, nil
		}
		fmt.Fprintf(a.out, "There is no %q.\n", words.Clean(answer))
	}
}

func picked(answer string, choices []string) (string, bool) {
	if answer == "" {
		return choices[0], true
	}
	for _, c := range choices {
		if c == answer {
			return c, true
		}
	}
	if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(choices) {
		return choices[n-1], true
	}
	return "", false
}

func some(choices []string) string {
	if len(choices) > mostChoices {
		return strings.Join(choices[:mostChoices], ", ") + ", …"
	}
	return strings.Join(choices, ", ")
}

// confirm asks a question whose safe answer is no. Without a terminal it is no.
func (a *asker) confirm(question string) (bool, error) {
	if !a.terminal {
		return false, nil
	}
	fmt.Fprintf(a.out, "%s [y/N] ", question)
	answer, err := a.line()
	if err != nil {
		return false, err
	}
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes"), nil
}

// line reads an answer, until the context ends.
func (a *asker) line() (string, error) {
	type read struct {
		text string
		err  error
	}
	done := make(chan read, 1)
	go func() { // stays behind when the program is interrupted, which then ends
		text, err := a.in.ReadString('\n')
		done <- read{text, err}
	}()
	select {
	case r := <-done:
		if r.err != nil && r.text == "" {
			return "", event.Fail(event.CodeUsage, "the question got no answer; nothing was written")
		}
		return strings.TrimSpace(r.text), nil
	case <-a.ctx.Done():
		fmt.Fprintln(a.out)
		return "", context.Cause(a.ctx)
	}
}
