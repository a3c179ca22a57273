package balancer

import (
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsquery"
)

// The shapes of the ELBv2 API, version 2015-12-01. Their members have the names
// of the API.

type balancerShape struct {
	LoadBalancerArn, DNSName, CanonicalHostedZoneId string
	CreatedTime                                     time.Time
	LoadBalancerName, Scheme, VpcId                 string
	State                                           stateShape
	Type                                            string
	AvailabilityZones                               []zoneShape
	SecurityGroups                                  []string
	IpAddressType                                   string
}

type stateShape struct{ Code string }

type zoneShape struct {
	ZoneName, SubnetId    string
	LoadBalancerAddresses []struct{}
}

type groupShape struct {
	TargetGroupArn, TargetGroupName, Protocol             string
	Port                                                  int
	VpcId                                                 string `json:"VpcId,omitzero"`
	HealthCheckProtocol, HealthCheckPort                  string
	HealthCheckEnabled                                    bool
	HealthCheckIntervalSeconds, HealthCheckTimeoutSeconds int
	HealthyThresholdCount, UnhealthyThresholdCount        int
	HealthCheckPath                                       string `json:"HealthCheckPath,omitzero"`
	Matcher                                               *matcherShape
	LoadBalancerArns                                      []string
	TargetType                                            string
	ProtocolVersion                                       string `json:"ProtocolVersion,omitzero"`
	IpAddressType                                         string
}

type matcherShape struct {
	HttpCode string `json:"HttpCode,omitzero"`
}

type listenerShape struct {
	ListenerArn, LoadBalancerArn string
	Port                         int
	Protocol                     string
	Certificates                 []certificateShape `json:"Certificates,omitzero"`
	SslPolicy                    string             `json:"SslPolicy,omitzero"`
	DefaultActions               []actionShape
}

type certificateShape struct{ CertificateArn string }

type actionShape struct {
	Type                string
	TargetGroupArn      string `json:"TargetGroupArn,omitzero"`
	Order               int    `json:"Order,omitzero"`
	ForwardConfig       *forwardShape
	RedirectConfig      *redirectShape
	FixedResponseConfig *fixedShape
}

type forwardShape struct {
	TargetGroups                []weightShape
	TargetGroupStickinessConfig *stickinessShape
}

type weightShape struct {
	TargetGroupArn string
	Weight         *int
}

type stickinessShape struct {
	Enabled         bool
	DurationSeconds int `json:"DurationSeconds,omitzero"`
}

type redirectShape struct {
	Protocol, Port, Host, Path, Query, StatusCode string
}

type fixedShape struct {
	MessageBody string `json:"MessageBody,omitzero"`
	StatusCode  string
	ContentType string `json:"ContentType,omitzero"`
}

type ruleShape struct {
	RuleArn, Priority string
	Conditions        []conditionShape
	Actions           []actionShape
	IsDefault         bool
}

type conditionShape struct {
	Field                   string
	Values                  []string `json:"Values,omitzero"`
	HostHeaderConfig        *valuesShape
	PathPatternConfig       *valuesShape
	HttpHeaderConfig        *headerShape
	QueryStringConfig       *queryShape
	HttpRequestMethodConfig *valuesShape
	SourceIpConfig          *valuesShape
}

type valuesShape struct{ Values []string }

type headerShape struct {
	HttpHeaderName string
	Values         []string
}

type queryShape struct{ Values []pairShape }

type pairShape struct {
	Key   string `json:"Key,omitzero"`
	Value string
}

type targetShape struct {
	Id               string
	Port             int    `json:"Port,omitzero"`
	AvailabilityZone string `json:"AvailabilityZone,omitzero"`
}

type healthShape struct {
	Target          targetShape
	HealthCheckPort string
	TargetHealth    targetHealthShape
}

type targetHealthShape struct {
	State       string
	Reason      string `json:"Reason,omitzero"`
	Description string `json:"Description,omitzero"`
}

type pair struct{ Key, Value string } // a tag or an attribute

type taggedShape struct {
	ResourceArn string
	Tags        []pair
}

// page asks for a part of a list.
type page struct {
	Marker   string
	PageSize *int
}

// none is the result of operations that say nothing.
type none = awsquery.Empty
