package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/nearest"
)

// maxProblems is how many problems one Load reports: enough for anybody, and a
// bound for files that are no configuration at all.
const maxProblems = 50

// problem is one thing that is wrong with the configuration.
type problem struct {
	at    Origin
	text  string
	hints []string
	code  event.Code // CodeConfig when empty
}

// problems collects what is wrong, one problem for each place of the file: the
// parts of a file are judged by themselves and again when they are merged.
type problems struct {
	list []problem
	seen map[string]bool
}

func (p *problems) add(at Origin, text string, hints ...string) {
	p.put(problem{at: at, text: text, hints: hints})
}

func (p *problems) put(pr problem) {
	key := pr.at.String()
	if pr.at.Line == 0 {
		key += "\x00" + pr.text
	}
	if p.seen[key] {
		return
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	p.seen[key] = true
	p.list = append(p.list, pr)
}

// err is all problems as event failures, those of the file first and in its
// order; nil when there are none.
func (p *problems) err(src *source) error {
	slices.SortStableFunc(p.list, func(a, b problem) int {
		return cmp.Or(cmp.Compare(rank(a.at), rank(b.at)), cmp.Compare(a.at.Line, b.at.Line), cmp.Compare(a.at.Column, b.at.Column))
	})
	var errs []error
	for i, pr := range p.list {
		if i == maxProblems {
			errs = append(errs, event.Fail(event.CodeConfig, fmt.Sprintf("%d more problems in the configuration", len(p.list)-i)))
			break
		}
		errs = append(errs, pr.failure(src))
	}
	return errors.Join(errs...)
}

func rank(o Origin) int {
	switch o.Source {
	case FromFile, FromEnvironment:
		return 0
	case FromVariable:
		return 1
	default:
		return 2
	}
}

func (pr problem) failure(src *source) *event.Failure {
	code := cmp.Or(pr.code, event.CodeConfig)
	if pr.code == "" && pr.at.Source == FromFlag {
		code = event.CodeUsage
	}
	text := pr.text
	if pr.at.Name != "" {
		text = pr.at.String() + ": " + text
	}
	f := event.Fail(code, text).Hint(pr.hints...)
	if src != nil && pr.at.Line > 0 {
		f.See(src.excerpt(pr.at.Line, pr.at.Column)...)
	}
	return f
}

// didYouMean is a hint with the nearest of the choices, or none.
func didYouMean(word string, choices []string) []string {
	if near := nearest.Names(word, choices, 1); len(near) > 0 {
		return []string{fmt.Sprintf("did you mean %q?", near[0])}
	}
	return nil
}
