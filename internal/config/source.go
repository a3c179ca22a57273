package config

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/weelo/weelo-deploy/internal/redact"
)

// source is the text of the file, kept to show people the lines that are wrong
// without showing the secrets that stand on them.
type source struct {
	name   string // for people
	data   []byte
	lines  [][]rune
	tokens []token // scalars and keys, in the order of the document
	// unparsed: the text is no YAML, so which values are secret is only a guess.
	unparsed bool
}

// token is where a key or a scalar begins.
type token struct {
	line, column int
	text         string
	style        yaml.Style
	secret       bool
}

// newSource checks that data is text that can be shown, or says why not.
func newSource(name string, data []byte, out *problems) *source {
	s := &source{name: name, data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))}
	for i, l := range strings.Split(strings.ReplaceAll(string(s.data), "\r\n", "\n"), "\n") {
		if !utf8.ValidString(l) {
			out.add(s.at(i+1, 1), "not UTF-8 text", "save the file as UTF-8")
			return nil
		}
		if c := strings.IndexFunc(l, func(r rune) bool { return r != '\t' && r != '\r' && unicode.IsControl(r) && r != 0x85 }); c >= 0 {
			out.add(s.at(i+1, utf8.RuneCountInString(l[:c])+1), "control characters are not allowed")
			return nil
		}
		s.lines = append(s.lines, []rune(l))
	}
	return s
}

func (s *source) at(line, column int) Origin {
	return Origin{Source: FromFile, Name: s.name, Line: line, Column: column}
}

func (s *source) char(line, column int) rune {
	if line < 1 || line > len(s.lines) || column < 1 || column > len(s.lines[line-1]) {
		return 0
	}
	return s.lines[line-1][column-1]
}

// secondDocument is the line where it begins, as far as that can be told.
func (s *source) secondDocument() int {
	content := false
	for i, l := range s.lines {
		text := strings.TrimSpace(string(l))
		if strings.HasPrefix(text, "---") && content {
			return i + 1
		}
		content = content || text != "" && !strings.HasPrefix(text, "#") && !strings.HasPrefix(text, "---")
	}
	return 1
}

func (s *source) token(y *yaml.Node) {
	s.tokens = append(s.tokens, token{line: y.Line, column: y.Column, text: y.Value, style: y.Style})
}

// seal puts the tokens in order, each once: aliases make them come twice.
func (s *source) seal() {
	slices.SortStableFunc(s.tokens, token.compare)
	s.tokens = slices.CompactFunc(s.tokens, func(a, b token) bool { return a.compare(b) == 0 })
}

func (t token) compare(o token) int {
	return cmp.Or(cmp.Compare(t.line, o.line), cmp.Compare(t.column, o.column))
}

// hide marks every scalar of the subtree as secret.
func (s *source) hide(n *node) {
	if n == nil {
		return
	}
	if n.kind == scalar && n.at.Line > 0 {
		if i, ok := slices.BinarySearchFunc(s.tokens, token{line: n.at.Line, column: n.at.Column}, token.compare); ok {
			s.tokens[i].secret = true
		}
	}
	for _, c := range n.items {
		s.hide(c)
	}
	for _, p := range n.pairs {
		s.hide(p.value)
	}
}

// span is a part of a line, columns 1-based, end exclusive.
type span struct{ from, to int }

// secretSpans are the parts of a line that hold secrets.
func (s *source) secretSpans(line int) []span {
	end := len(s.lines[line-1]) + 1
	var out []span
	for i, t := range s.tokens {
		if !t.secret {
			continue
		}
		toLine, toColumn := t.line, t.column+s.tokenLen(t)
		if toColumn == t.column { // more than one line, or escapes: up to the next token
			toLine, toColumn = len(s.lines)+1, 1
			if i+1 < len(s.tokens) {
				toLine, toColumn = s.tokens[i+1].line, s.tokens[i+1].column
			}
		}
		if line < t.line || line > toLine {
			continue
		}
		sp := span{1, end}
		if line == t.line {
			sp.from = t.column
		}
		if line == toLine {
			sp.to = min(toColumn, end)
		}
		if sp.from < sp.to {
			out = append(out, sp)
		}
	}
	slices.SortFunc(out, func(a, b span) int { return a.from - b.from })
	return out
}

// tokenLen is the length of a token that stands on one line as it is; 0 when its
// end cannot be told so simply.
func (s *source) tokenLen(t token) int {
	if t.line < 1 || t.line > len(s.lines) {
		return 0
	}
	text, quote := []rune(t.text), 0
	if t.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		quote = 1
	}
	l := s.lines[t.line-1]
	from := t.column - 1 + quote
	to := from + len(text)
	if len(text) == 0 || to+quote > len(l) || string(l[from:to]) != string(text) {
		return 0
	}
	return len(text) + 2*quote
}

// excerptWidth is how much of a long line is shown around the place.
const excerptWidth = 100

// excerpt is the line and a second one that points at the token at column.
func (s *source) excerpt(line, column int) []string {
	if line < 1 || line > len(s.lines) {
		return nil
	}
	shown, caret := s.masked(line, min(column, len(s.lines[line-1])+1))
	under := tokenAt(shown, caret)
	if from := caret - excerptWidth/2; len(shown) > excerptWidth && from > 0 {
		shown, caret = append([]rune("…"), shown[from:]...), caret-from+1
	}
	if len(shown) > excerptWidth {
		shown = append(shown[:excerptWidth:excerptWidth], '…')
	}
	under = max(1, min(under, len(shown)-caret))
	no := fmt.Sprint(line)
	return []string{
		no + " | " + strings.ReplaceAll(string(shown), "\t", " "),
		strings.Repeat(" ", len(no)) + " | " + strings.Repeat(" ", caret) + strings.Repeat("^", under),
	}
}

// masked is a line without its secrets, and the 0-based column that corresponds
// to the 1-based column asked for.
func (s *source) masked(line, column int) ([]rune, int) {
	l := s.lines[line-1]
	spans := s.secretSpans(line)
	if s.unparsed {
		spans = s.guessedSpans(line)
	}
	var out []rune
	caret, at := -1, 1
	for _, sp := range spans {
		if sp.from < at {
			continue
		}
		if caret < 0 && column < sp.from {
			caret = len(out) + column - at
		}
		out = append(out, l[at-1:sp.from-1]...)
		if caret < 0 && column < sp.to {
			caret = len(out)
		}
		out = append(out, []rune(redact.Mask)...)
		at = sp.to
	}
	if caret < 0 {
		caret = len(out) + column - at
	}
	out = append(out, l[at-1:]...)
	if p := redact.Patterns(string(out)); p != string(out) {
		caret = len([]rune(redact.Patterns(string(out[:caret]))))
		out = []rune(p)
	}
	return out, min(caret, len(out))
}

// tokenAt is how many characters from the 0-based column on belong together.
func tokenAt(l []rune, from int) int {
	if from >= len(l) {
		return 1
	}
	if q := l[from]; q == '"' || q == '\'' {
		for i := from + 1; i < len(l); i++ {
			if l[i] == q {
				return i - from + 1
			}
		}
		return len(l) - from
	}
	start := from
	if from+1 < len(l) && l[from] == '$' && l[from+1] == '{' {
		if n := slices.Index(l[from:], '}'); n > 0 {
			start = from + n + 1
		}
	}
	for i := start; i < len(l); i++ {
		end := strings.ContainsRune(" \t,[]{}#", l[i])
		if end || l[i] == ':' && (i+1 == len(l) || l[i+1] == ' ') {
			return max(1, i-from)
		}
	}
	return len(l) - from
}
