package page

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ask makes a request of a handler.
func ask(h *Handler, method, path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandler_servesThePage(t *testing.T) {
	h := New(incident(), &world{}, nil)
	w := ask(h, http.MethodGet, "/", nil)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(w.Body.String(), "<!doctype html>") {
		t.Errorf("GET / answers %d %s", w.Code, w.Header().Get("Content-Type"))
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if w := ask(h, http.MethodGet, "/?find="+strings.Repeat("x", maxQuery), nil); w.Code != http.StatusRequestURITooLong {
		t.Errorf("an address without end is answered with %d", w.Code)
	}
}

func TestHandler_handsOnWhatIsPressed(t *testing.T) {
	w := &world{}
	h := New(w, w, nil)
	answer := ask(h, http.MethodPost, pressPath, url.Values{"do": {DoCrash}, "cluster": {"c"}, "name": {"web"}}, "Sec-Fetch-Site", "same-origin")
	if answer.Code != http.StatusOK || !strings.HasPrefix(answer.Body.String(), "Armed: its next tasks die of SIGSEGV") {
		t.Errorf("answer is %d %s", answer.Code, answer.Body)
	}
	if d := cmp.Diff([]Press{{Do: DoCrash, Cluster: "c", Name: "web"}}, w.pressed); d != "" {
		t.Error(d)
	}
	answer = ask(h, http.MethodPost, pressPath, url.Values{"do": {DoTakeBack}, "fault": {"3"}}, "Accept", "text/html,*/*")
	if answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != "/" {
		t.Errorf("a browser without script is sent to %d %q", answer.Code, answer.Header().Get("Location"))
	}
	for _, do := range []string{DoCrash, DoNoPull, DoSlowHealth, DoThrottle, DoDeploy, DoRollBack, DoStopTask, DoTakeBack, DoContinue, DoHookBack} {
		if answer := ask(h, http.MethodPost, pressPath, url.Values{"do": {do}}); answer.Code != http.StatusOK || answer.Body.String() == "Done.\n" {
			t.Errorf("%s is answered with %d %s", do, answer.Code, answer.Body)
		}
	}
}

func TestHandler_saysWhyNothingHappened(t *testing.T) {
	w := &world{refuse: &Refused{Why: "There is nothing to \x1b[1mroll back."}}
	h := New(w, w, nil)
	answer := ask(h, http.MethodPost, pressPath, url.Values{"do": {DoRollBack}})
	if text, _ := io.ReadAll(answer.Body); answer.Code != http.StatusConflict || string(text) != "There is nothing to roll back.\n" {
		t.Errorf("answer is %d %q", answer.Code, text)
	}
	w.refuse = errors.New("broken")
	if answer := ask(h, http.MethodPost, pressPath, url.Values{"do": {DoRollBack}}); answer.Code != http.StatusInternalServerError {
		t.Errorf("answer is %d", answer.Code)
	}
	if answer := ask(h, http.MethodPost, pressPath, url.Values{"do": {"reboot"}}); answer.Code != http.StatusBadRequest {
		t.Errorf("a button that does not exist is answered with %d", answer.Code)
	}
	if answer := ask(h, http.MethodPost, pressPath, url.Values{"do": {strings.Repeat("x", maxForm+1)}}); answer.Code != http.StatusBadRequest {
		t.Errorf("a form without end is answered with %d", answer.Code)
	}
}

// TestHandler_isForItsOwnPageOnly: other ports of this machine are the same site to
// a browser, and a task of the sandbox may listen there.
func TestHandler_isForItsOwnPageOnly(t *testing.T) {
	w := &world{}
	h := New(w, w, nil)
	for _, from := range []string{"cross-site", "same-site"} {
		if answer := ask(h, http.MethodPost, pressPath, url.Values{"do": {DoThrottle}}, "Sec-Fetch-Site", from); answer.Code != http.StatusForbidden {
			t.Errorf("a press from %s is answered with %d", from, answer.Code)
		}
		if answer := ask(h, http.MethodGet, eventsPath, nil, "Sec-Fetch-Site", from); answer.Code != http.StatusForbidden {
			t.Errorf("a stream for %s is answered with %d", from, answer.Code)
		}
		if answer := ask(h, http.MethodGet, "/", nil, "Sec-Fetch-Site", from); answer.Code != http.StatusOK {
			t.Errorf("a link from %s is answered with %d", from, answer.Code)
		}
	}
	if len(w.pressed) != 0 {
		t.Errorf("pressed: %v", w.pressed)
	}
	if answer := ask(h, http.MethodGet, pressPath, nil); answer.Code != http.StatusMethodNotAllowed {
		t.Errorf("a press by GET is answered with %d", answer.Code)
	}
}
