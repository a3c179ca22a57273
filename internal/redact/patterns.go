package redact

import (
	"regexp"
	"strings"
)

// secretWords are the parts of a name that promise a secret.
const secretWords = `secret|token|passw(?:or)?d|passphrase|passcode|private_?key|api_?key|apikey|access_?key|auth_?key|encryption_?key|signing_?key|credential|signature|\bpwd\b|_pwd|_pass\b|_dsn\b|_salt\b`

var secretName = regexp.MustCompile(`(?i)(?:` + secretWords + `|^pass$|^dsn$|_key$|^key$|webhook)`)

// SecretName reports whether the value of something with this name (a variable,
// a build argument, a header) is likely to be a secret.
func SecretName(name string) bool { return secretName.MatchString(name) }

type pattern struct {
	re *regexp.Regexp
	// keep is the replacement, with $1 for what stays.
	keep string
	// unless excludes matches; nil: none.
	unless func(match []string) bool
}

// patterns are tried in order, each on what the one before left.
var patterns = []pattern{
	{re: regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`), keep: Mask},
	// user:password@ in URLs; the password may hold / and @ where nobody escaped it.
	{re: regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s/:?#"'<>@]*):([^\s"'<>]*)@`), keep: "${1}" + Mask + "@", unless: portAndPath},
	{re: regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s/?#"'<>]+)@`), keep: "${1}" + Mask + "@", unless: sshUser},
	{re: regexp.MustCompile(`(?i)(\bhttps://hooks\.slack\.com/)[^\s"'<>]+`), keep: "${1}" + Mask},
	{re: regexp.MustCompile(`(?i)((?:proxy-)?authorization["']?\s*[:=]\s*["']?)[^"'\r\n]+`), keep: "${1}" + Mask},
	{re: regexp.MustCompile(`(?i)(\b(?:x-amz-security-token|x-api-key|x-auth-token|set-cookie|cookie)["']?\s*[:=]\s*["']?)[^"'\r\n]+`), keep: "${1}" + Mask},
	{re: regexp.MustCompile(`(?i)(\b(?:bearer|basic)\s+)([A-Za-z0-9._~+/=-]{8,})`), keep: "${1}" + Mask, unless: plainWord},
	// NAME=value in any case, and NAME: value where the name is spelt like a variable.
	{re: regexp.MustCompile(`(?i)([A-Za-z0-9_.-]*(?:` + secretWords + `)[A-Za-z0-9_.-]*["']?\s*=\s*)("[^"]*"|'[^']*'|[^\s"'&,;)]+)`), keep: "${1}" + Mask, unless: harmless},
	{re: regexp.MustCompile(`([A-Z0-9_]*(?:SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|PRIVATE_KEY|API_KEY|APIKEY|ACCESS_KEY|CREDENTIAL|SIGNATURE)[A-Z0-9_]*["']?\s*:\s*)("[^"]*"|'[^']*'|[^\s"',;)}\]]+)`), keep: "${1}" + Mask, unless: harmless},
	{re: regexp.MustCompile(`(?i)(["'][a-z0-9_.-]*(?:` + secretWords + `)[a-z0-9_.-]*["']\s*:\s*)("[^"]*"|'[^']*')`), keep: "${1}" + Mask, unless: harmless},
	// What ECR, GitHub, GitLab, npm, Docker Hub and Slack give out, and JSON web tokens.
	{re: regexp.MustCompile(`\bQVdTO[A-Za-z0-9+/]{16,}={0,2}`), keep: Mask},
	{re: regexp.MustCompile(`\beyJ[A-Za-z0-9_+/-]{16,}={0,2}(?:\.[A-Za-z0-9_-]+){0,2}`), keep: Mask},
	{re: regexp.MustCompile(`\b(?:gh[pousr]_|github_pat_|glpat-|npm_|dckr_pat_|xox[abeprs]-|sk_live_|rk_live_)[A-Za-z0-9_-]{10,}`), keep: Mask},
}

// Patterns is s with everything masked that looks like a credential.
func Patterns(s string) string {
	for _, p := range patterns {
		s = p.apply(s)
	}
	return s
}

func (p pattern) apply(s string) string {
	if p.unless == nil {
		return p.re.ReplaceAllString(s, p.keep)
	}
	return p.re.ReplaceAllStringFunc(s, func(m string) string {
		if p.unless(p.re.FindStringSubmatch(m)) {
			return m
		}
		return p.re.ReplaceAllString(m, p.keep)
	})
}

var portPath = regexp.MustCompile(`^[0-9]{1,5}/`)

// portAndPath recognises http://host:8080/a@b, where no password is.
func portAndPath(m []string) bool { return portPath.MatchString(m[3]) }

// plainWord keeps "basic authentication" readable.
func plainWord(m []string) bool {
	switch strings.ToLower(strings.TrimRight(m[2], ".-")) {
	case "authentication", "authorization", "credentials", "credential", "security", "functionality", "settings":
		return true
	}
	return false
}

// sshUser recognises ssh://user@host, whose user is a name and not a token.
func sshUser(m []string) bool {
	return strings.HasPrefix(strings.ToLower(m[1]), "ssh:") && !strings.Contains(m[2], ":")
}

// harmless keeps references to secrets, which are no secrets, and our own words
// for what is hidden already.
func harmless(m []string) bool {
	v := strings.Trim(m[2], `"'`)
	return v == "" || v == Mask || strings.HasPrefix(v, "(") || strings.HasPrefix(v, "arn:aws")
}
