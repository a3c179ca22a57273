//go:build page

package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/chromedp/chromedp"
)

// browser is a tab of a real browser, and what its console says.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu   sync.Mutex
	said []string
}

// openTab opens a tab at an address. scripts/ensure-chromium says which browser it is.
func openTab(t *testing.T, url string) *browser {
	t.Helper()
	program := os.Getenv("WEELO_TEST_CHROMIUM")
	if program == "" {
		t.Fatal("WEELO_TEST_CHROMIUM names no browser; run make test-page")
	}
	b := &browser{t: t}
	all, closeAll := chromedp.NewExecAllocator(t.Context(), chromedp.ExecPath(program), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true))
	t.Cleanup(closeAll)
	tab, closeTab := chromedp.NewContext(all, chromedp.WithBrowserOption(chromedp.WithConsolef(b.hear)))
	t.Cleanup(closeTab)
	timed, cancel := context.WithTimeout(tab, 30*time.Second)
	t.Cleanup(cancel)
	b.ctx = timed
	b.do(chromedp.EmulateViewport(1200, 900), chromedp.Navigate(url))
	return b
}

func (b *browser) hear(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, fmt.Sprintf(format, args...))
}

// silent fails the test when the console has anything to say, such as that the
// policy was violated.
func (b *browser) silent() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.said {
		b.t.Errorf("the browser's console says: %s", s)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval is what an expression is worth in the tab.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// await waits until an expression is true in the tab.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	tick := time.NewTicker(30 * time.Millisecond) // a flood of questions would hold the tab up
	defer tick.Stop()
	for !eval[bool](b, expression) {
		select {
		case <-tick.C:
		case <-b.ctx.Done():
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// shows waits until an element's text contains another.
func (b *browser) shows(selector, text string) {
	b.t.Helper()
	b.await(selector+" to show "+text, fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.textContent.includes(%q))`, selector, text))
}

func TestBrowser_seesAServiceBreakAndGoBack(t *testing.T) {
	w := start(t, Config{Speed: human})
	shop(t, w)
	b := openTab(t, w.URL()+"/")
	b.shows("#live", "live")
	b.shows(".head .badge", "steady")
	b.shows(".lines", "listening <on> 8080")

	// What is set here is gone after a reload.
	_ = eval[bool](b, `window.untouched = true`)
	_ = eval[bool](b, `(() => { const r = document.createRange(); r.selectNodeContents(document.querySelector("#exports")); getSelection().removeAllRanges(); getSelection().addRange(r); return true })()`)
	chosen := eval[string](b, `getSelection().toString()`)

	b.do(chromedp.Click(chromedp.CSS(`button[value="crash"]`)))
	b.shows("#toast", "Armed: its next tasks die of SIGSEGV")
	b.shows("#faults code", `"exit":139`)
	b.do(chromedp.Click(chromedp.CSS(`button[value="deploy"]`)))
	b.shows(".way .pill", "rolled back")
	b.shows(".head .badge", "steady")
	b.shows(".tasks .bad", "exit 139 (SIGSEGV)")
	b.shows("#faults .acted", "acted 3×")
	if got := eval[string](b, `document.activeElement.value || document.activeElement.nodeName`); got != "deploy" {
		t.Errorf("the focus went to %q while the page changed", got)
	}
	b.do(chromedp.Click(chromedp.CSS(`button[aria-label="Take back fault 1"]`)))
	b.shows("#faults", "None is armed")

	if !eval[bool](b, `window.untouched === true`) {
		t.Error("the page was loaded anew")
	}
	if chosen == "" || !strings.Contains(chosen, "AWS_ENDPOINT_URL") {
		t.Errorf("the selection was %q", chosen)
	}
	b.silent()
}

func TestBrowser_closesOpensAndFollows(t *testing.T) {
	w := start(t, Config{Speed: human})
	shop(t, w)
	b := openTab(t, w.URL()+"/")
	b.shows("#live", "live")
	b.do(chromedp.Click(chromedp.CSS("h3 a")))
	b.await("the service to be closed", `!document.querySelector(".tasks") && location.search === "?shut=c%2Fweb"`)
	b.do(chromedp.Click(chromedp.CSS("h3 a")))
	b.await("the service to be open again", `document.querySelectorAll(".tasks .task").length === 3`)
	b.do(chromedp.Click(chromedp.CSS(".task a.mono")))
	b.await("the log of one task", `document.querySelectorAll(".lines li").length === 1`)
	b.await("the log to stay at its end", `(e => e.scrollTop + e.clientHeight >= e.scrollHeight - 8)(document.querySelector(".lines"))`)
	for _, width := range []int64{400, 1600} {
		b.do(chromedp.EmulateViewport(width, 900))
		if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("at %d pixels the page is %d too wide", width, over)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.shows("#gone", "The sandbox has ended.")
}

func TestBrowser_sentByAnotherSitePressesNothing(t *testing.T) {
	w := start(t, Config{})
	must(t)(w.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("c")}))
	evil := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(out, `<!doctype html><form method="post" action="%s/_sandbox/press"><input name="do" value="throttle"></form><script>document.forms[0].submit()</script>`, w.URL())
	}))
	defer evil.Close()
	b := openTab(t, evil.URL)
	b.await("the form to be refused", `location.pathname === "/_sandbox/press" && document.body.textContent.includes("local programs only")`)
	if list := w.faults.List(); len(list) != 0 {
		t.Errorf("another site has armed %+v", list)
	}
}
