package alarms

import (
	"fmt"
	"strings"
	"unicode"
)

// expression is a composite alarm's rule: whether it holds, given the states of
// other alarms.
type expression func(state func(name string) string) bool

// maxDepth bounds how deeply a rule's parentheses lie in one another.
const maxDepth = 50

// parseRule reads a rule: ALARM(…), OK(…), INSUFFICIENT_DATA(…), TRUE and FALSE
// under AND, OR and NOT, with parentheses. AT_LEAST is refused by its name. It
// also returns the names of the alarms in it.
func parseRule(text string) (expression, []string, error) {
	p := &ruleParser{tokens: ruleTokens(text)}
	e, err := p.or(0)
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q is not expected there", p.tokens[0])
	}
	if err != nil {
		return nil, nil, err
	}
	return e, p.names, nil
}

type ruleParser struct {
	tokens []string // those that are left
	names  []string
}

func (p *ruleParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

// take consumes the next token when it is this one.
func (p *ruleParser) take(token string) bool {
	ok := len(p.tokens) > 0 && p.tokens[0] == token
	if ok {
		p.tokens = p.tokens[1:]
	}
	return ok
}

func (p *ruleParser) or(depth int) (expression, error) {
	left, err := p.and(depth)
	for err == nil && p.take("OR") {
		var right expression
		a := left
		if right, err = p.and(depth); err == nil {
			left = func(s func(string) string) bool { return a(s) || right(s) }
		}
	}
	return left, err
}

func (p *ruleParser) and(depth int) (expression, error) {
	left, err := p.not(depth)
	for err == nil && p.take("AND") {
		var right expression
		a := left
		if right, err = p.not(depth); err == nil {
			left = func(s func(string) string) bool { return a(s) && right(s) }
		}
	}
	return left, err
}

func (p *ruleParser) not(depth int) (expression, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it nests more than %d levels", maxDepth)
	}
	if !p.take("NOT") {
		return p.term(depth)
	}
	e, err := p.not(depth + 1)
	if err != nil {
		return nil, err
	}
	return func(s func(string) string) bool { return !e(s) }, nil
}

func (p *ruleParser) term(depth int) (expression, error) {
	switch word := p.peek(); {
	case p.take("TRUE"):
		return func(func(string) string) bool { return true }, nil
	case p.take("FALSE"):
		return func(func(string) string) bool { return false }, nil
	case p.take("("):
		e, err := p.or(depth + 1)
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a closing parenthesis is missing")
		}
		return e, err
	case p.take(OK), p.take(Alarm), p.take(InsufficientData):
		return p.inState(word)
	case word == "AT_LEAST":
		return nil, fmt.Errorf("the sandbox does not know AT_LEAST")
	case word == "":
		return nil, fmt.Errorf("it ends too early")
	default:
		return nil, fmt.Errorf("%q is not expected there", word)
	}
}

// inState reads the alarm in the parentheses behind a state's name.
func (p *ruleParser) inState(want string) (expression, error) {
	if !p.take("(") || len(p.tokens) < 2 || p.tokens[1] != ")" {
		return nil, fmt.Errorf("%s wants the name of one alarm in parentheses", want)
	}
	name := strings.Trim(p.tokens[0], `"'`)
	if _, after, isARN := strings.Cut(name, ":alarm:"); isARN {
		name = after
	}
	p.tokens = p.tokens[2:]
	p.names = append(p.names, name)
	return func(state func(string) string) bool { return state(name) == want }, nil
}

// ruleTokens splits a rule into words, parentheses and quoted names.
func ruleTokens(text string) []string {
	var tokens []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		end := 1
		switch c := text[0]; c {
		case '(', ')':
		case '"', '\'':
			if i := strings.IndexByte(text[1:], c); i >= 0 {
				end = i + 2
			} else {
				end = len(text)
			}
		default:
			end = strings.IndexFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == ')' })
			if end < 0 {
				end = len(text)
			}
		}
		tokens = append(tokens, text[:end])
		text = text[end:]
	}
	return tokens
}
