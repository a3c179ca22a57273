// Package check asks the live service, and judges what it answers.
//
// Judging is pure: Expect.Judge lists what is wrong with an Answer, Log.judge
// what a line of the log says. Asking is apart from it: a Client makes the
// requests of an HTTP check (client.go), all of them bounded in time and size,
// and Log.Run follows the logs of the new tasks.
//
// A check that fails is an event.Failure with a code of its own where no answer
// came (CHECK_DNS, CHECK_TLS, CHECK_UNREACHABLE, CHECK_TIMEOUT) and CHECK_FAILED
// where the answer is not the one that is wanted. Values of headers and the body
// that is sent are in no failure; of a URL only what is no secret.
package check

import (
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/weelo/weelo-deploy/internal/jsonpath"
)

// DefaultTimeout bounds a request that names no bound.
const DefaultTimeout = 10 * time.Second

// HTTP is a check by requests.
type HTTP struct {
	Name    string
	Method  string // empty: GET
	URL     string
	Header  map[string]string
	Body    []byte
	Expect  Expect
	Timeout time.Duration // of a request, its body included; 0: DefaultTimeout

	// Retries is how often the whole check is made again when it fails, each time
	// after Pause.
	Retries int
	Pause   time.Duration

	// Repeat sends the same request so often, one after the other; with Same, all
	// answers have the same body. Parallel sends it so often at once; with Statuses,
	// each status must come as often as it says. 0: once.
	Repeat   int
	Same     bool
	Parallel int
	Statuses map[int]int

	// FailingBefore says that the check may fail before the release.
	FailingBefore bool
}

// Reads says whether the check changes nothing, as far as HTTP promises it.
func (h HTTP) Reads() bool { return h.method() == http.MethodGet || h.method() == http.MethodHead }

func (h HTTP) method() string {
	if h.Method == "" {
		return http.MethodGet
	}
	return h.Method
}

func (h HTTP) timeout() time.Duration {
	if h.Timeout <= 0 {
		return DefaultTimeout
	}
	return h.Timeout
}

// request is the check for people: method and URL, without what may be secret in it.
func (h HTTP) request() string {
	u, err := url.Parse(h.URL)
	if err != nil {
		return h.method()
	}
	return h.method() + " " + shown(u)
}

// shown is a URL without user, password, query and fragment.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// Expect is the answer that a check wants. What is not set is not looked at, but
// for the status.
type Expect struct {
	Status   []int // empty: any from 200 to 299
	JSON     []Field
	Contains string
	Matches  *regexp.Regexp
	Header   map[string]string
	Within   time.Duration // from the request to the end of the answer
}

// Field is a value in a JSON body, as text.
type Field struct {
	Path jsonpath.Path
	Want string
}

// Answer is what came.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Cut says that the body is longer than what was read of it.
	Cut  bool
	Took time.Duration
	From string // the URL that answered, when redirects led elsewhere
}
