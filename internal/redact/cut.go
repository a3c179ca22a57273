package redact

import (
	"strings"
	"unicode/utf8"
)

// ellipsis is how our own code marks that it has cut a text.
const ellipsis = "…"

// cut masks what is left of a secret that was cut: the beginning of a value, right
// before an ellipsis.
func cut(s string, values []string) string {
	parts := strings.Split(s, ellipsis)
	for i, part := range parts[:len(parts)-1] {
		if n := beginning(part, values); n > 0 {
			parts[i] = part[:len(part)-n] + Mask
		}
	}
	return strings.Join(parts, ellipsis)
}

// beginning is how many bytes at the end of s are the beginning of a value; 0 when
// there are too few to tell.
func beginning(s string, values []string) int {
	longest := 0
	for _, v := range values {
		for n := min(len(v)-1, len(s)); n > longest; n-- {
			if strings.HasSuffix(s, v[:n]) && utf8.RuneCountInString(v[:n]) >= shortest {
				longest = n
			}
		}
	}
	return longest
}
