package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/redact"
)

// rule judges the text of one value. Its error says what is wanted, and may be a
// *hinted with a way out. It must not repeat a value that may be secret. Rules
// that are data (a choice, a pattern, a range) are in the JSON schema too.
type rule interface{ judge(text string) error }

// ruleFunc is a rule that is code.
type ruleFunc func(string) error

func (f ruleFunc) judge(text string) error { return f(text) }

// rules are what the type alone does not say, by place.
var rules = map[string]rule{
	"region":                       like(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`, "an AWS region such as ap-south-1"),
	"cluster":                      nameOrARN("cluster"),
	"service":                      nameOrARN("service"),
	"account":                      like(`^[0-9]{12}$`, "an AWS account number of 12 digits"),
	"image.repository":             repository,
	"image.tags[]":                 tagTemplate,
	"build.before[]":               notBlank,
	"build.context":                localPath,
	"build.dockerfile":             localPath,
	"build.platform":               oneOf("linux/amd64", "linux/arm64", "linux/arm64/v8"),
	"build.target":                 like(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`, "the name of a stage"),
	"build.secrets[].id":           notBlank,
	"build.secrets[].file":         localPath,
	"build.secrets[].env":          like(`^[A-Za-z_][A-Za-z0-9_]*$`, "the name of a variable"),
	"build.ssh[]":                  like(`^[A-Za-z0-9_-]+(=.+)?$`, "an id such as default, or ID=PATH"),
	"build.contexts.*":             buildContext,
	"build.cacheFrom[]":            notBlank,
	"build.cacheTo[]":              oneOf("inline"),
	"build.on":                     buildOn,
	"verify.trial.seconds":         between(1, 600),
	"verify.allow[].path":          glob,
	"verify.allow[].reason":        notBlank,
	"task.container":               like(`^[A-Za-z0-9_-]{1,255}$`, "a container's name"),
	"task.secrets.*":               notBlank,
	"task.base":                    oneOf("current", "latest"),
	"release.before[].name":        like(`^[A-Za-z0-9][A-Za-z0-9 ._:/@+=-]{0,59}$`, "a name of at most 60 letters, digits, spaces and . _ : / @ + = -"),
	"release.before[].container":   like(`^[A-Za-z0-9_-]{1,255}$`, "a container's name"),
	"release.before[].timeout":     atLeast(time.Second),
	"release.before[].onInterrupt": oneOf("leave", "stop"),
	"release.timeout":              atLeast(time.Second),
	"release.bake":                 atLeast(0),
	"release.tolerate":             tolerance,
	"release.rollback":             oneOf("on-failure", "never"),
	"release.backstop":             oneOf("enforce", "keep"),
	"notify[].url":                 webhook,
	"notify[].format":              oneOf("json", "slack"),
	"notify[].on[]":                oneOf("released", "rolled_back", "failed", "refused"),

	"checks.http[].name":            notBlank,
	"checks.http[].method":          oneOf("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
	"checks.http[].url":             checkURL,
	"checks.http[].headers.*":       headerValue,
	"checks.http[].headerFiles.*":   localPath,
	"checks.http[].body":            placeholders,
	"checks.http[].bodyFile":        localPath,
	"checks.http[].expect.status[]": between(100, 599),
	"checks.http[].expect.contains": notBlank,
	"checks.http[].expect.matches":  expression,
	"checks.http[].expect.within":   atLeast(time.Millisecond),
	"checks.http[].timeout":         atLeast(10 * time.Millisecond),
	"checks.http[].retries":         between(0, 20),
	"checks.http[].pause":           atLeast(0),
	"checks.http[].repeat":          between(2, 100),
	"checks.http[].same":            oneOf("body"),
	"checks.http[].parallel":        between(2, 100),
	"checks.http[].statuses.*":      between(1, 100),
	"checks.logs[].name":            notBlank,
	"checks.logs[].contains":        notBlank,
	"checks.logs[].matches":         expression,
	"checks.logs[].absent":          notBlank,
	"checks.logs[].within":          atLeast(time.Second),
}

// nameRules judge the names of a mapping.
var nameRules = map[string]rule{
	"build.args":       like(`^[A-Za-z_][A-Za-z0-9_]*$`, "a name of letters, digits and _"),
	"build.labels":     like(`^[^\s=]+$`, "a label's name without spaces"),
	"build.contexts":   like(`^[^\s=]+$`, "the name of a stage or an image"),
	"verify.trial.env": like(`^[^\s=]+$`, "a variable's name without spaces and ="),
	"task.environment": like(`^[^\s=]+$`, "a variable's name without spaces and ="),
	"task.secrets":     like(`^[^\s=]+$`, "a variable's name without spaces and ="),

	"checks.http[].headers":        headerName,
	"checks.http[].headerFiles":    headerName,
	"checks.http[].expect.headers": headerName,
	"checks.http[].expect.json":    jsonPath,
	"checks.http[].statuses":       like(`^[1-5][0-9]{2}$`, "a status such as 200"),
}

// listRules judge the number of entries of a list.
var listRules = map[string]func(n int) error{
	"image.tags":               notEmpty,
	"release.before[].command": notEmpty,
	"notify[].on":              notEmpty,
}

// hinted is an error with a way out.
type hinted struct {
	error
	hint string
}

func hintsOf(err error) []string {
	var h *hinted
	if errors.As(err, &h) {
		return []string{h.hint}
	}
	return nil
}

// quote is text for people: credentials masked, escaped, and cut when it is long.
func quote(s string) string {
	const most = 60
	s = redact.Patterns(s)
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

func want(what, have string) error { return fmt.Errorf("want %s, have %s", what, quote(have)) }

// pattern is a rule that text matches a regular expression, which is compiled when
// it is first needed: those that count to 255 are large, and most commands need
// none.
type pattern struct {
	expression, what string // what is for people
	compiled         func() *regexp.Regexp
}

func like(expression, what string) rule {
	return pattern{expression, what, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

func (p pattern) judge(s string) error {
	if !p.compiled().MatchString(s) {
		return want(p.what, s)
	}
	return nil
}

// choice is a rule that text is one of some words.
type choice []string

func oneOf(choices ...string) rule { return choice(choices) }

func (c choice) judge(s string) error {
	if slices.Contains(c, s) {
		return nil
	}
	err := want("one of "+strings.Join(c, ", "), s)
	if hints := didYouMean(s, c); len(hints) > 0 {
		return &hinted{err, hints[0]}
	}
	return err
}

func nameOrARN(what string) rule {
	return like(`^(arn:aws[a-z-]*:ecs:[^:\s]*:[0-9]{12}:`+what+`/[A-Za-z0-9_/-]+|[A-Za-z0-9_-]{1,255})$`, "the name or ARN of an ECS "+what)
}

// filled is a rule that text is not empty.
type filled struct{}

var notBlank rule = filled{}

func (filled) judge(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("must not be empty")
	}
	return nil
}

// glob takes a path with the wildcards of path.Match, and "**" for folders.
var glob rule = ruleFunc(func(s string) error {
	if err := notBlank.judge(s); err != nil {
		return err
	}
	for part := range strings.SplitSeq(s, "/") {
		if _, err := path.Match(part, ""); err != nil {
			return want("a glob such as /app/**/*.node", s)
		}
	}
	return nil
})

func notEmpty(n int) error {
	if n == 0 {
		return errors.New("wants at least one entry")
	}
	return nil
}

// bounds is a rule that a number lies in a range.
type bounds struct{ least, most int }

func between(least, most int) rule { return bounds{least, most} }

func (r bounds) judge(s string) error {
	if n, err := strconv.Atoi(s); err != nil || n < r.least || n > r.most {
		return want(fmt.Sprintf("a number from %d to %d", r.least, r.most), s)
	}
	return nil
}

func atLeast(least time.Duration) rule {
	return ruleFunc(func(s string) error {
		if d, err := time.ParseDuration(s); err == nil && d < least || err != nil && least > 0 {
			return want(fmt.Sprintf("a duration of at least %s", least), s)
		}
		return nil
	})
}

// tolerance takes "2" and "10%".
var tolerance rule = ruleFunc(func(s string) error {
	number, percent := strings.CutSuffix(s, "%")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || percent && n > 100 || strings.HasPrefix(number, "+") {
		return want("a number of tasks such as 2, or a percentage from 0% to 100%", s)
	}
	return nil
})

// webURL takes http and https. It may carry a token, so the text is not repeated.
var webURL rule = ruleFunc(func(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("want a URL that begins with http:// or https:// and names a host")
	}
	return nil
})

// webhook takes https, and http to this machine: the URL is a secret, which must
// not travel in the clear. The text is not repeated.
var webhook rule = ruleFunc(func(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("want a URL that begins with https:// and names a host")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
		return errors.New("want https: a webhook's URL is a secret, and http would show it")
	}
	return nil
})

var localPath rule = ruleFunc(func(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("must not be empty")
	case strings.Contains(s, "://"):
		return fmt.Errorf("want a path on this machine, have %s", quote(s))
	case strings.ContainsRune(s, 0):
		return errors.New("a path cannot hold a zero byte")
	}
	return nil
})

var (
	repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+|/)[a-z0-9]+)*$`)
	registryHost   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
)

// repository takes a name in the account's ECR or a full URI, without a tag.
var repository rule = ruleFunc(func(s string) error {
	if bare := strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://"); bare != s {
		return &hinted{want("a repository without a scheme", s), fmt.Sprintf("did you mean %q?", bare)}
	}
	name := s
	if host, rest, ok := strings.Cut(s, "/"); ok && strings.ContainsAny(host, ".:") && registryHost.MatchString(host) {
		name = rest
	}
	if i := strings.LastIndexAny(name, ":@"); i >= 0 && repositoryName.MatchString(strings.TrimSuffix(name[:i], "@sha256")) {
		return &hinted{want("a repository without tag or digest", s), "tags belong in image.tags"}
	}
	if !repositoryName.MatchString(name) || len(name) > 256 {
		return want("a repository's name (lower case) or full URI", s)
	}
	return nil
})

// imageContext begins a build context that is an image.
const imageContext = "docker-image://"

// buildContext takes a path, or an image.
var buildContext rule = ruleFunc(func(s string) error {
	if image, ok := strings.CutPrefix(s, imageContext); ok {
		return like(`^[^\s]+$`, "an image's reference after "+imageContext).judge(image)
	}
	if strings.Contains(s, "://") {
		return want("a path or "+imageContext+"REFERENCE", s)
	}
	return localPath.judge(s)
})

var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.+-]*$`)

// buildOn takes docker, the name of a Docker context, a URL of an engine, or
// codebuild:PROJECT.
var buildOn rule = ruleFunc(func(s string) error {
	if project, ok := strings.CutPrefix(s, "codebuild:"); ok {
		return like(`^[A-Za-z0-9][A-Za-z0-9_-]{1,149}$`, "a CodeBuild project's name after codebuild:").judge(project)
	}
	if !strings.Contains(s, "://") {
		if !contextName.MatchString(s) {
			return want("docker, a Docker context, ssh://user@host or codebuild:PROJECT", s)
		}
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || !slices.Contains([]string{"ssh", "tcp", "unix", "npipe"}, u.Scheme) {
		return errors.New("want an engine's URL with the scheme ssh, tcp, unix or npipe")
	}
	if _, has := u.User.Password(); has {
		return &hinted{errors.New("an engine's URL must not carry a password"), "use a key or an agent"}
	}
	if (u.Scheme == "ssh" || u.Scheme == "tcp") && u.Hostname() == "" {
		return errors.New("the engine's URL names no host")
	}
	return nil
})
