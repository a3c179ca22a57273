package sandbox

import (
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

// callerIdentityResponse is GetCallerIdentity's answer in the Query protocol.
type callerIdentityResponse struct {
	XMLName  xml.Name         `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Arn      string           `xml:"GetCallerIdentityResult>Arn"`
	UserID   string           `xml:"GetCallerIdentityResult>UserId"`
	Account  string           `xml:"GetCallerIdentityResult>Account"`
	Metadata responseMetadata `xml:"ResponseMetadata"`
}

func (s *Server) sts() map[string]func(url.Values) awsjson.Answer {
	return map[string]func(url.Values) awsjson.Answer{getCallerIdentity: s.callerIdentity}
}

// caller is the ARN of whoever calls; signatures are not looked at.
func (s *Server) caller() string { return "arn:aws:iam::" + s.cfg.Account + ":user/sandbox" }

func (s *Server) callerIdentity(url.Values) awsjson.Answer {
	return queryAnswer(http.StatusOK, callerIdentityResponse{
		Arn:      s.caller(),
		UserID:   userID,
		Account:  s.cfg.Account,
		Metadata: responseMetadata{RequestID: rand.Text()},
	})
}
