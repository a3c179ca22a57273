package fault

import "fmt"

// Reasons why a task cannot pull an image, beside [Denied].
const (
	PullNotFound    = "not-found"   // the tag or digest is not there: manifest unknown
	PullPlatform    = "platform"    // it has no variant for the task's platform
	PullRateLimit   = "rate-limit"  // Docker Hub's limit
	PullTimeout     = "timeout"     // no way to the registry
	PullConnection  = "connection"  // no way to ECR, in the words of 2024 and later
	PullNoSpace     = "no-space"    // the host's disk is full
	PullUnavailable = "unavailable" // the registry answers with 503
	PullOther       = "other"       // the rule's message
)

// pullTexts are what ECS says behind "CannotPullContainerError: ", as in
// "CannotPullContainer task errors in Amazon ECS" (Developer Guide) and in
// stopped tasks that were shown in public. Where a text is empty the control
// plane has it, for it is in other words on Fargate and on container instances.
var pullTexts = map[string]func(r Rule, image string) string{
	PullNotFound: func(Rule, string) string { return "" },
	PullPlatform: func(Rule, string) string { return "" },
	PullRateLimit: func(Rule, string) string {
		return "ERROR: toomanyrequests: Too Many Requests or You have reached your pull rate limit."
	},
	PullTimeout: func(_ Rule, image string) string {
		return fmt.Sprintf("pull image manifest has been retried 5 time(s): failed to resolve ref %s: failed to do request: dial tcp 10.0.0.1:443: i/o timeout", image)
	},
	PullConnection: func(_ Rule, image string) string {
		return fmt.Sprintf("The task cannot pull '%s' from the Amazon ECR repository. There is a connection issue between the task and Amazon ECR. Check your task network configuration.", image)
	},
	PullNoSpace: func(Rule, string) string {
		return "write /var/lib/docker/tmp/GetImageBlob111111111: no space left on device"
	},
	PullUnavailable: func(_ Rule, image string) string {
		return fmt.Sprintf("ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: unexpected status code %s: 503 Service Unavailable", image)
	},
	PullOther: func(r Rule, _ string) string { return r.Message },
}

// TaskPull says why a task cannot pull an image from a repository: "" or one of
// the pull constants, and what ECS says of it, where it is in the same words
// everywhere. Images that are not of the sandbox's registry have their whole name
// without a tag for a repository.
func (s *Set) TaskPull(repository, image string) (kind, text string) {
	a := s.take(func(r Rule) bool {
		return pullTexts[r.Pull] != nil && (r.Repository == "" || r.Repository == repository)
	}, "a task cannot pull "+image)
	if a == nil {
		return "", ""
	}
	return a.Rule.Pull, pullTexts[a.Rule.Pull](a.Rule, image)
}
