package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/awsquery"
)

// maxSkew is how far a request's time may be from AWS's (Signature Version 4;
// S3 allows more).
const (
	maxSkew   = 5 * time.Minute
	maxSkewS3 = 15 * time.Minute
)

// amzTime is the form of X-Amz-Date.
const amzTime = "20060102T150405Z"

// skewed shows clients AWS with a clock that is off, when a fault says so: the
// Date of answers and every time in them, and the refusal of requests that are
// signed too early or too late. Inside the clock stays as it is, so that nothing
// that waits is disturbed.
func (s *Server) skewed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		off := s.faults.Skew()
		if off == 0 || r.Header.Get("X-Amz-Date") == "" { // not a call of AWS's API
			next.ServeHTTP(w, r)
			return
		}
		now := s.cfg.Now().Add(off).UTC()
		w.Header().Set("Date", now.Format(http.TimeFormat))
		if refusal := refuseTime(r, now); refusal != nil {
			s.faults.Skewed(r.Method + " " + r.URL.Path)
			awsjson.Write(w, *refusal)
			return
		}
		if r.URL.Path != "/" { // what S3 keeps is nobody's time
			next.ServeHTTP(w, r)
			return
		}
		body, err := awsjson.ReadBody(w, r)
		if err != nil {
			awsjson.Write(w, awsjson.ErrorAnswer(err))
			return
		}
		body = shiftTimes(body, -off)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		held := &heldAnswer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(held, r)
		held.release(off)
	})
}

// refuseTime is the answer to a request that was signed at another time than now,
// in the words of its protocol; nil when it may be answered.
func refuseTime(r *http.Request, now time.Time) *awsjson.Answer {
	signed, err := time.Parse(amzTime, r.Header.Get("X-Amz-Date"))
	if err != nil {
		return nil
	}
	at := func(t time.Time) string { return t.Format(amzTime) }
	text, limit := "", maxSkew
	switch {
	case signed.Before(now.Add(-maxSkew)):
		text = fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)", at(signed), at(now.Add(-maxSkew)), at(now))
	case signed.After(now.Add(maxSkew)):
		text = fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)", at(signed), at(now.Add(maxSkew)), at(now))
	}
	var a awsjson.Answer
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		a = awsjson.ErrorAnswer(awsjson.Errorf("InvalidSignatureException", http.StatusBadRequest, "%s", text))
	case r.URL.Path == "/":
		a = awsquery.Refuse(awsjson.Errorf("SignatureDoesNotMatch", http.StatusForbidden, "%s", text))
	default:
		limit = maxSkewS3
		a = awsquery.Refuse(awsjson.Errorf("RequestTimeTooSkewed", http.StatusForbidden, "The difference between the request time and the current time is too large."))
	}
	if now.Sub(signed).Abs() <= limit {
		return nil
	}
	return &a
}

// times finds members that hold a time as a number: seconds, or milliseconds in
// CloudWatch Logs. Inside a string the quotes are escaped, so that it finds none
// there.
var times = regexp.MustCompile(`"(?:[A-Za-z]*At|[A-Za-z]*[Tt]ime|[A-Za-z]*[Tt]imestamp|before|after)":\s*([0-9]{9,}(?:\.[0-9]+)?)`)

// shiftTimes moves all times in a JSON body. Numbers from 1e11 on are milliseconds.
func shiftTimes(body []byte, by time.Duration) []byte {
	var out bytes.Buffer
	last := 0
	for _, m := range times.FindAllSubmatchIndex(body, -1) {
		number := string(body[m[2]:m[3]])
		whole, fraction, _ := strings.Cut(number, ".")
		n, err := strconv.ParseInt(whole, 10, 64)
		if err != nil {
			continue // more digits than any time has
		}
		if n < 1e11 {
			n += int64(by / time.Second)
		} else {
			n += by.Milliseconds()
		}
		out.Write(body[last:m[2]])
		out.WriteString(strconv.FormatInt(n, 10))
		if fraction != "" {
			out.WriteString("." + fraction)
		}
		last = m[3]
	}
	out.Write(body[last:])
	return out.Bytes()
}

// heldAnswer keeps an answer back until its times have been moved.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *heldAnswer) WriteHeader(status int)      { h.status = status }
func (h *heldAnswer) Write(b []byte) (int, error) { return h.body.Write(b) }

// Unwrap lets http.ResponseController reach the connection.
func (h *heldAnswer) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *heldAnswer) release(off time.Duration) {
	body := h.body.Bytes()
	if strings.Contains(h.Header().Get("Content-Type"), "json") {
		body = shiftTimes(body, off)
	}
	h.Header().Set("Content-Length", strconv.Itoa(len(body)))
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(body) // a client that has gone does not need the answer
}
