package sandbox

import (
	"context"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsquery"
)

const (
	accessKey = "sandbox"
	userID    = "AIDASANDBOX0000000000"
)

// identity is GetCallerIdentity's answer.
type identity struct {
	Arn     string
	UserID  string `json:"UserId"`
	Account string
}

func (s *Server) sts() *awsquery.Service {
	api := awsquery.NewService("2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/")
	awsquery.Handle(api, "GetCallerIdentity", func(context.Context, *struct{}) (*identity, error) {
		return &identity{Arn: s.caller(), UserID: userID, Account: s.cfg.Account}, nil
	})
	return api
}

// caller is the ARN of whoever calls; signatures are not looked at.
func (s *Server) caller() string { return "arn:aws:iam::" + s.cfg.Account + ":user/sandbox" }
