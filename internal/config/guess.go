package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/redact"
)

// Where a file is no YAML there is no tree that says which values are secret.
// Then a value is taken for one when its own key, or a key that it seems to stand
// under by its indentation, may hold secrets.

// secretKeys are the keys whose values are never shown.
var secretKeys = []string{"environment", "env", "args", "notify", "url"}

var keyLine = regexp.MustCompile(`^(\s*(?:- )?\s*[\{\[]?\s*)(?:"([^"]*)"|'([^']*)'|([^\s:'"{}\[\],#]+))\s*:(?:\s|$)`)

// guessedSpans is the part of the line after its key, when that may be secret.
func (s *source) guessedSpans(line int) []span {
	l := string(s.lines[line-1])
	m := keyLine.FindStringSubmatch(l)
	own := ""
	from := 1 // a line without a key may continue a secret: it is hidden whole
	if m != nil {
		own = m[2] + m[3] + m[4]
		from = len([]rune(m[0])) + 1
	}
	if s.mayHoldSecrets(own, line) || mentionsSecretKey(l) {
		if end := len(s.lines[line-1]) + 1; from < end && strings.TrimSpace(string(s.lines[line-1][from-1:])) != "" {
			return []span{{from, end}}
		}
	}
	return nil
}

func (s *source) mayHoldSecrets(own string, line int) bool {
	if redact.SecretName(own) || slices.Contains(secretKeys, own) {
		return true
	}
	depth := indent(s.lines[line-1])
	if own == "" && depth == 0 {
		return true
	}
	for i := line - 2; i >= 0 && depth > 0; i-- {
		text := strings.TrimSpace(string(s.lines[i]))
		if d := indent(s.lines[i]); text == "" || strings.HasPrefix(text, "#") || d >= depth {
			continue
		} else {
			depth = d
		}
		if mentionsSecretKey(text) {
			return true
		}
	}
	return false
}

func mentionsSecretKey(line string) bool {
	for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t:{}[],\"'-", r) }) {
		if slices.Contains(secretKeys, word) {
			return true
		}
	}
	return false
}

func indent(l []rune) int {
	for i, r := range l {
		if r != ' ' && r != '\t' {
			return i
		}
	}
	return len(l)
}
