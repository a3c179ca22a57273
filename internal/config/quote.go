package config

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

var (
	plainText = regexp.MustCompile(`^[A-Za-z0-9_./~][A-Za-z0-9_./:@+=,~-]*( [A-Za-z0-9_./@+=,~-]+)*$`)
	// otherType is text that YAML takes for a number, a date, a truth value or null.
	otherType = regexp.MustCompile(`^([0-9.+-][0-9_.eExX:+-]*|0[xob].*|(?i:true|false|yes|no|on|off|y|n|null|~))$|:$|: `)
)

// Quote is text as a value of the file. It is quoted unless it can be taken for
// nothing else.
func Quote(s string) string { return plain(s) }

// quoteYAML is text between double quotes. JSON's strings are YAML's, and a $ of
// the text's own is doubled, so that it is no variable.
func quoteYAML(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(strings.ReplaceAll(s, "${", "$${")); err != nil { // not with a string
		return `""`
	}
	return strings.TrimSpace(b.String())
}
