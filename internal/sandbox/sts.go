package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"net/url"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

const (
	getCallerIdentity = "GetCallerIdentity"
	accessKey         = "sandbox"
	userID            = "AIDASANDBOX0000000000"
)

type responseMetadata struct {
	RequestID string `xml:"RequestId"`
}

// callerIdentityResponse is GetCallerIdentity's answer in the Query protocol.
type callerIdentityResponse struct {
	XMLName  xml.Name         `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Arn      string           `xml:"GetCallerIdentityResult>Arn"`
	UserID   string           `xml:"GetCallerIdentityResult>UserId"`
	Account  string           `xml:"GetCallerIdentityResult>Account"`
	Metadata responseMetadata `xml:"ResponseMetadata"`
}

type errorResponse struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// query answers calls in the Query protocol, of which STS is the one service.
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
	c := awsjson.Call{Service: "sts", Operation: form.Get("Action"), Body: body, Refuse: queryError}
	awsjson.Write(w, s.api.Do(r.Context(), c, func(context.Context) awsjson.Answer {
		if c.Operation != getCallerIdentity {
			return queryError(awsjson.Errorf("InvalidAction", http.StatusBadRequest,
				"Could not find operation %s for version %s", c.Operation, form.Get("Version")))
		}
		return s.callerIdentity()
	}))
}

func (s *Server) callerIdentity() awsjson.Answer {
	return queryAnswer(http.StatusOK, callerIdentityResponse{
		Arn:      "arn:aws:iam::" + s.cfg.Account + ":user/sandbox",
		UserID:   userID,
		Account:  s.cfg.Account,
		Metadata: responseMetadata{RequestID: rand.Text()},
	})
}

// queryError renders an error as the Query protocol does.
func queryError(err error) awsjson.Answer {
	code, status, message := awsjson.ErrorParts(err)
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
	if err != nil { // not with the structures above
		status = http.StatusInternalServerError
	}
	return awsjson.Answer{Status: status, ContentType: "text/xml", Body: body}
}
