package health

import (
	"regexp"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
)

// A rule knows one text of AWS. The texts are those of "Stopped tasks error
// messages", "CannotPullContainer task errors", "ResourceInitializationError" and
// "TaskFailedToStart" in the ECS Developer Guide, of the ECS agent's sources, and
// of stopped tasks that users showed in public. Fargate cuts long texts (at 255
// characters before 2025, at 1024 since), so no pattern relies on a text's end.
type rule struct {
	in     *regexp.Regexp // the family of texts that the rule belongs to
	when   *regexp.Regexp // nil: every text of the family
	code   event.Code
	weight Weight
	what   string // follows "container NAME: "; what the pattern captures is put behind it
	hints  []string
}

func (r rule) match(s said) (Finding, bool) {
	text := strings.ReplaceAll(s.text, "’", "'")
	if !r.in.MatchString(text) || (r.when != nil && !r.when.MatchString(text)) {
		return Finding{}, false
	}
	what := r.what
	if r.when != nil {
		if m := r.when.FindStringSubmatch(text); len(m) > 1 && m[1] != "" {
			what += " (" + m[1] + ")"
		}
	}
	subject := "the task: "
	if s.container != "" {
		subject = "container " + s.container + ": "
	}
	return Finding{
		Code: r.code, Weight: r.weight, Container: s.container, Message: subject + what,
		Reason: s.text, Hints: r.hints,
	}, true
}

func text(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?is)` + pattern) }

var (
	scalingIn = text(`Scaling activity initiated by`)
	hostGone  = text(`Spot ?Task was interrupted|SpotInterruption|Host EC2 .*(?:terminated|stopped)|underlying infrastructure`)
	unhealthy = text(`failed (?:ELB|container|Cloud ?Map|Route ?53|VPC Lattice)? ?health checks?|due to an unhealthy status|is unhealthy in`)

	network = text(`dial tcp|i/o timeout|TLS handshake timeout|Client\.Timeout exceeded|context deadline exceeded|context canceled|` +
		`request canceled|no such host|connection re(?:fused|set)|connection issue|check your (?:task )?network configuration|` +
		`unexpected EOF|server misbehaving|50[0234] (?:Internal|Bad|Service|Gateway)`)

	pulls     = text(`CannotPull|pull image manifest has been retried|ref pull has been retried|can't pull the image|cannot pull '`)
	resources = text(`ResourceInitializationError|ResourceNotFoundException|unable to pull secrets or registry auth|failed to initialize logging driver`)
	starts    = text(`CannotStart\w*Error|CannotCreate\w*Error|ContainerRuntime(?:Timeout)?Error|DockerTimeoutError|DockerStateError|` +
		`ContainerNetworkingError|TaskDependencyError|HostConfigError|InvalidVolumeError|CannotInspect\w*Error|CannotDescribe\w*Error|` +
		`CannotStop\w*Error|ContainerVanishedError|TaskFailedToStart|Task failed to start|InternalError|Unexpected EC2 error|` +
		`attach network interface|not compatible with the selected compute strategy|could not launch`)
	places = text(`Capacity is unavailable|RESOURCE:\w+|limit on the number of vCPUs|provisioning capacity limit|unable to place a task|` +
		`no container instance met|placement constraint|^\s*AGENT\s*$|^\s*ATTRIBUTE\s*$|unused device index`)
	anything = text(``)
)

const (
	hintECRRole = "let the task execution role pull: ecr:GetAuthorizationToken, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer (and the repository's policy, from another account)"
	hintNetwork = "tasks need a way to the registry: a NAT gateway, a public IP, or VPC endpoints for ECR (api and dkr), S3 and CloudWatch Logs"
)

// rules are tried in order; the first that matches any text of the task decides.
var rules = []rule{
	{anything, execFormat, event.CodeExecFormat, Fatal, "cannot run: exec format error", []string{hintArch}},
	{anything, unhealthy, event.CodeUnhealthy, Counts, "failed its health checks", []string{
		"see what the health check asks and what the container answers; a slow start wants a longer healthCheckGracePeriodSeconds or startPeriod"}},

	{resources, text(`(?:secret|parameter)s?\b.*(?:whether the secret exists|can't find|not exist|not found|ParameterNotFound|invalid parameters?)|` +
		`(?:can't find|ParameterNotFound|invalid (?:ssm )?parameters?).*(?:secret|parameter)`),
		event.CodeResourceInit, Fatal, "a secret or parameter of the task definition does not exist", []string{
			"check the valueFrom of the container's secrets: name, Region and account"}},
	{resources, text(`log group`), event.CodeResourceInit, Fatal, "the log group of the task definition does not exist", []string{
		"create it (aws logs create-log-group --log-group-name NAME), or set awslogs-create-group to true and let the execution role create it"}},
	{resources, network, event.CodeResourceInit, Waits, "its resources cannot be reached over the network", []string{hintNetwork}},
	{resources, text(`not authorized|AccessDenied|permission`), event.CodeResourceInit, Counts, "may not read what it needs to start", []string{
		"let the task execution role read the secrets (secretsmanager:GetSecretValue, ssm:GetParameters, kms:Decrypt), and write logs"}},
	{resources, text(`EFS`), event.CodeResourceInit, Counts, "the EFS volume cannot be mounted", []string{
		"check the file system's mount targets, its security group (port 2049), and the access point"}},
	{resources, nil, event.CodeResourceInit, Counts, "its resources cannot be set up", nil},

	{pulls, text(`does not contain descriptor(?: matching platform '([^']+))?`), event.CodeCannotPullPlatform, Fatal,
		"the image has no variant for the platform of the tasks", []string{hintArch, "build for it: build.platform in weelo-deploy.yaml"}},
	{pulls, text(`no match(?:ing manifest)? for (?:platform|\S+ in the manifest)|does not (?:match the specified|provide the specified|support this) platform|` +
		`image operating system "?\w+"? cannot be used`), event.CodeCannotPullPlatform, Fatal,
		"the image has no variant for the platform of the tasks", []string{hintArch, "build for it: build.platform in weelo-deploy.yaml"}},
	{pulls, text(`vnd\.in-toto`), event.CodeCannotPullOther, Counts, "the image reference names an attestation, not an image", []string{
		"pin the digest of the runnable manifest, and build without attestations (--provenance=false --sbom=false)"}},
	{pulls, text(`number of layers and diffIDs`), event.CodeCannotPullOther, Counts, "the image mixes layers that do not fit its configuration (compressed in different ways)", []string{
		"push all layers with one compression (gzip)"}},
	{pulls, text(`no space left on device`), event.CodeCannotPullOther, Counts, "the host has no disk space left for the image", []string{
		"make the image smaller, or give the task more ephemeral storage (ephemeralStorage.sizeInGiB) or the host a larger disk"}},
	{pulls, text(`toomanyrequests|rate limit`), event.CodeCannotPullOther, Waits, "the registry limits how often images are pulled", []string{
		"pull from ECR, or through an ECR pull-through cache with credentials"}},
	{pulls, text(`not authorized|AccessDenied|permissions to pull|denied|no basic auth|insufficient_scope|40[13] (?:Unauthorized|Forbidden)|unauthorized|CannotPullContainerAuth`),
		event.CodeCannotPullDenied, Fatal, "the registry denies the image", []string{hintECRRole, "Docker Hub answers so for an image that does not exist, too"}},
	{pulls, network, event.CodeCannotPullOther, Waits, "the registry cannot be reached", []string{hintNetwork}},
	{pulls, text(`not found|manifest unknown|name unknown|not exist|check whether the image exists`), event.CodeCannotPullNotFound, Fatal,
		"the image does not exist in the registry", []string{"look whether the tag or digest is (still) there: a lifecycle policy of the repository may have expired it"}},
	{pulls, nil, event.CodeCannotPullOther, Counts, "the image cannot be pulled", nil},

	{anything, text(`OutOfMemory`), event.CodeOutOfMemory, Counts, "was killed: out of memory", []string{
		"give the container or the task more memory, or the program a limit below it (node --max-old-space-size)"}},
	{places, nil, event.CodeCannotStart, Waits, "there is no place for it (capacity or quota)", []string{
		"look at the capacity of the cluster and at the account's Fargate quotas"}},
	{starts, text(`executable file not found|no such file or directory`), event.CodeCannotStart, Counts, "its command is not in the image", []string{
		"check entryPoint, command and workingDirectory of the container"}},
	{starts, text(`permission denied`), event.CodeCannotStart, Counts, "its command may not be run", []string{
		"check the mode bits of the file and the container's user"}},
	{starts, text(`not compatible with the selected compute strategy`), event.CodeCannotStart, Counts, "the task definition does not fit the service's launch type", []string{
		"compare requiresCompatibilities with the service's launch type or capacity providers"}},
	{starts, nil, event.CodeCannotStart, Counts, "cannot be started", nil},
}
