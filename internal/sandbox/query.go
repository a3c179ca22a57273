package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"net/url"

	"github.com/weelo/weelo-deploy/internal/sandbox/alarms"
	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// iamVersion is the version of IAM's API, by which its calls are told from STS's.
const iamVersion = "2010-05-08"

type responseMetadata struct {
	RequestID string `xml:"RequestId"`
}

// errorResponse is an error in the Query protocol. It has the namespace of its
// service, which clients do not look at.
type errorResponse struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// query answers calls in the Query protocol: STS, IAM, and CloudWatch for older
// clients.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	body, err := awsjson.ReadBody(w, r)
	if err != nil {
		awsjson.Write(w, queryError(err))
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		awsjson.Write(w, queryError(awsjson.Errorf("MalformedQueryString", http.StatusBadRequest, "The request is no form: %s", err)))
		return
	}
	if form.Get("Version") == alarms.QueryVersion {
		awsjson.Write(w, s.cloudwatch.Query(r.Context(), form.Get("Action"), body))
		return
	}
	service, operations := "sts", s.sts()
	if form.Get("Version") == iamVersion {
		service, operations = "iam", s.iam()
	}
	c := awsjson.Call{Service: service, Operation: form.Get("Action"), Body: body, Refuse: queryError}
	awsjson.Write(w, s.api.Do(r.Context(), c, func(context.Context) awsjson.Answer {
		do := operations[c.Operation]
		if do == nil {
			return queryError(awsjson.Errorf("InvalidAction", http.StatusBadRequest,
				"Could not find operation %s for version %s", c.Operation, form.Get("Version")))
		}
		return do(form)
	}))
}

// queryError renders an error as the Query protocol does. It has names of its own
// for what the JSON protocol calls …Exception.
func queryError(err error) awsjson.Answer {
	code, status, message := awsjson.ErrorParts(err)
	if code == "AccessDeniedException" {
		code, status = "AccessDenied", http.StatusForbidden
	}
	sender := "Sender"
	if status >= http.StatusInternalServerError {
		sender = "Receiver"
	}
	a := queryAnswer(status, errorResponse{Type: sender, Code: code, Message: message, RequestID: rand.Text()})
	a.ErrorCode = code
	return a
}

func queryAnswer(status int, v any) awsjson.Answer {
	body, err := xml.Marshal(v)
	if err != nil { // not with the structures of this package
		status = http.StatusInternalServerError
	}
	return awsjson.Answer{Status: status, ContentType: "text/xml", Body: body}
}
