// Package iam knows which permissions a release takes, and whether the caller has
// them.
//
// [Needs] is a pure function from what a configuration releases to the actions
// that the release calls, each with the resource it calls them on. [Policy] makes
// an IAM policy of needs, and [Denied] asks IAM's simulator which of them the
// caller does not have.
//
// Which resources and conditions an action takes is from the Service Authorization
// Reference; an action for which it lists no resource has "*".
package iam

import "strings"

// Need is one action that a release calls on one resource.
type Need struct {
	Stage    string // of the release that calls it first, or "doctor"
	Action   string // "ecs:UpdateService"
	Resource string // an ARN, with * where something is not known, or "*"
	// Condition limits the action further, since its resource cannot.
	Condition Condition
	// Without says what a release does when the permission is missing. Empty: it
	// cannot work.
	Without string
}

// Condition is an IAM condition of one key with one value; the zero Condition is
// none.
type Condition struct{ Operator, Key, Value string }

// Plan is what a configuration releases, as far as it matters to permissions.
// What is empty is not known: "*" stands for it in ARNs.
type Plan struct {
	Region, Account  string
	Cluster, Service string // names or ARNs
	Repository       string // a name, or a URI of ECR
	Family           string // of the task definition
	Roles            []string
	LogGroups        []string

	ReleasesOnly bool   // an image of the repository is released: nothing is pushed
	BeforeTasks  bool   // release.before is configured
	LogChecks    bool   // checks.logs is configured
	Project      string // CodeBuild project that builds
	Bucket       string // where CodeBuild gets its source from
}

// arn is an ARN in the plan's region and account.
func (p Plan) arn(service, resource string) string {
	return "arn:" + partition(p.Region) + ":" + service + ":" + known(p.Region) + ":" + known(p.Account) + ":" + resource
}

// partition is the part of AWS that a region is in.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func known(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

// short is a name, or the last part of an ARN.
func short(s string) string { return known(s[strings.LastIndex(s, "/")+1:]) }

func (p Plan) cluster() string    { return short(p.Cluster) }
func (p Plan) inService() string  { return p.cluster() + "/" + short(p.Service) }
func (p Plan) service() string    { return p.arn("ecs", "service/"+p.inService()) }
func (p Plan) clusterARN() string { return p.arn("ecs", "cluster/"+p.cluster()) }
func (p Plan) tasks() string      { return p.arn("ecs", "task/"+p.cluster()+"/*") }
func (p Plan) definitions() string {
	return p.arn("ecs", "task-definition/"+known(p.Family)+":*")
}

// repository is the ARN of the image repository, which may be another account's
// or region's: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME.
func (p Plan) repository() string {
	host, name, ok := strings.Cut(p.Repository, "/")
	account, rest, ecr := strings.Cut(host, ".dkr.ecr.")
	if !ok || !ecr {
		if ok && strings.ContainsAny(host, ".:") {
			return p.arn("ecr", "repository/"+name)
		}
		return p.arn("ecr", "repository/"+known(p.Repository))
	}
	region, _, _ := strings.Cut(rest, ".")
	return Plan{Region: region, Account: account}.arn("ecr", "repository/"+name)
}
