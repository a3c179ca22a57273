package balancer

import "time"

// Types of load balancers.
const (
	Application = "application"
	Network     = "network"
)

// LoadBalancer is one load balancer. CreateLoadBalancer fills in ARN, DNSName
// and Created.
type LoadBalancer struct {
	ARN, Name, Type, Scheme, IPAddressType string
	DNSName                                string
	Created                                time.Time
	VPC                                    string
	Subnets, SecurityGroups                []string
	Attributes                             map[string]string
	Tags                                   map[string]string
}

// Listener is one listener. Port is the one that clients of AWS would use; where
// it is reached here says [Balancer.Status].
type Listener struct {
	ARN, LoadBalancer string
	Protocol          string
	Port              int
	Certificates      []string
	SSLPolicy         string
	Default           []Action
	Tags              map[string]string
}

// Rule is a rule of a listener. Its default rule has the priority 0, which
// clients see as "default".
type Rule struct {
	ARN, Listener string
	Priority      int
	Conditions    []Condition
	Actions       []Action
	Tags          map[string]string
}

// Types of actions.
const (
	Forward       = "forward"
	FixedResponse = "fixed-response"
	Redirect      = "redirect"
)

// Action is what a rule does with a request. The members beyond Type belong to
// one type each.
type Action struct {
	Type   string
	Order  int
	Groups []Weighted

	Status               string // of a fixed response or a redirect: 503, HTTP_301
	ContentType, Message string // of a fixed response

	Protocol, Host, Port, Path, Query string // of a redirect
}

// Weighted is a target group of a forward action with its share.
type Weighted struct {
	Group  string // ARN
	Weight int
}

// Condition is what a request must have for a rule to apply: one of the values.
type Condition struct {
	Field  string // path-pattern, host-header, http-header, …
	Header string // the name for http-header
	Values []string
	Query  []Pair // for query-string; a pair without a key looks at values only
}

// Pair is a key and a value of a query string.
type Pair struct{ Key, Value string }

// TargetGroup is one target group.
type TargetGroup struct {
	ARN, Name, Protocol, ProtocolVersion string
	Port                                 int
	TargetType, VPC, IPAddressType       string
	Check                                HealthCheck
	Attributes                           map[string]string
	Tags                                 map[string]string
}

// HealthCheck is how the targets of a target group are checked. Interval and
// Timeout are in seconds.
type HealthCheck struct {
	Disabled           bool
	Protocol           string // HTTP, HTTPS or TCP
	Port               string // traffic-port or a number
	Path               string
	Interval, Timeout  int
	Healthy, Unhealthy int
	Matcher            string // 200, 200-399, 200,302
}

// Target is a target of a target group.
type Target struct {
	ID   string // an address, or an instance's id
	Port int    // 0: the target group's
	// Reach says where the target's ports can be reached: host:port by port. A
	// port that is not there is dialled at ID, which must be on loopback.
	Reach map[int]string
}

// States of a target (TargetHealthStateEnum).
const (
	Initial   = "initial"
	Healthy   = "healthy"
	Unhealthy = "unhealthy"
	Unused    = "unused"
	Draining  = "draining"
	// Unavailable is a target whose health is not looked at.
	Unavailable = "unavailable"
)

// TargetHealth is what is known of a target.
type TargetHealth struct {
	ID                         string
	Port                       int
	CheckPort                  string
	State, Reason, Description string
	InFlight                   int
}

// Reasons and their descriptions (TargetHealthReasonEnum).
var descriptions = map[string]string{
	"Elb.RegistrationInProgress":      "Target registration is in progress",
	"Elb.InitialHealthChecking":       "Initial health checks in progress",
	"Target.Timeout":                  "Request timed out",
	"Target.FailedHealthChecks":       "Health checks failed",
	"Target.NotRegistered":            "Target is not registered to the target group",
	"Target.NotInUse":                 "Target group is not configured to receive traffic from the load balancer",
	"Target.DeregistrationInProgress": "Target deregistration is in progress",
	"Target.HealthCheckDisabled":      "Health checks are disabled for the target group",
}
