package taskdef

import (
	"encoding/json"
	"regexp"
	"strings"
)

// What a Diff hides: values of environment variables (every object with a name
// and a value), members whose name speaks of a credential, and credentials
// inside text that is shown. What names a resource of AWS (an ARN) is shown: it
// is the pointer to a secret, not the secret.

var (
	sensitiveName = regexp.MustCompile(`(?i)passw|secret|token|credential|auth|api[-_.]?key|access[-_.]?key|private[-_.]?key`)
	userInfo      = regexp.MustCompile(`(://)[^/\s"@]+@`)
	// Not after a colon: in an ARN, "secret:name" is no assignment.
	assignment = regexp.MustCompile(`(?i)((?:^|[^:])(?:passw(?:or)?d|secret|token|api[-_]?key|access[-_]?key)\\?"?\s*[=:]\s*\\?"?)[^\s"\\&,]+`)
)

// sensitive says whether the value of the named member must not be shown.
func sensitive(member string, v any) bool {
	s, ok := v.(string)
	return ok && sensitiveName.MatchString(member) && !strings.HasPrefix(s, "arn:")
}

// maxShown bounds what one value takes of a line, in bytes.
const maxShown = 300

// shown is the leaf for people: plain text without quotes where it is a string
// without anything odd in it, JSON otherwise, cut when it is long.
func (l leaf) shown() string {
	if l.masked {
		return "(masked)"
	}
	s := l.canonical
	var text string
	if json.Unmarshal([]byte(s), &text) == nil && text != "" && plain(text) {
		s = text
	}
	s = assignment.ReplaceAllString(userInfo.ReplaceAllString(s, "${1}***@"), "${1}***")
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}

// plain says whether s can stand in a line as it is.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) }) &&
		strings.TrimSpace(s) == s
}
