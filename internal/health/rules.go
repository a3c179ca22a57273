package health

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/weelo/weelo-deploy/internal/event"
)

// A rule knows one text of AWS. The texts are those of "Stopped tasks error
// messages", "CannotPullContainer task errors", "ResourceInitializationError" and
// "TaskFailedToStart" in the ECS Developer Guide, of the ECS agent's sources, and
// of stopped tasks that users showed in public. Fargate cuts long texts (at 255
// characters before 2025, at 1024 since), so no pattern relies on a text's end.
type rule struct {
	in     *phrase // the family of texts that the rule belongs to
	when   *phrase // nil: every text of the family
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

// phrase is a pattern of AWS's texts. It is compiled when a task has failed: there
// are many, and every command would wait for them at its start.
type phrase struct{ compiled func() *regexp.Regexp }

func text(pattern string) *phrase {
	return &phrase{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?is)` + pattern) })}
}

func (p *phrase) MatchString(s string) bool            { return p.compiled().MatchString(s) }
func (p *phrase) FindStringSubmatch(s string) []string { return p.compiled().FindStringSubmatch(s) }

var (
	// failedToStart is all that EC2 says of the task when a container's reason
	// says the rest.
	failedToStart = text(`^\s*Task failed to start\.?\s*$`)

	scalingIn = text(`Scaling activity initiated by`)
	spot      = text(`Spot ?Task was interrupted|SpotInterruption`)
	hostGone  = text(`Host EC2 .*(?:terminated|stopped)|underlying infrastructure`)
	unhealthy = text(`failed (?:\w[\w ]*)?health ?checks?|due to an unhealthy status|is unhealthy in`)

	network = text(`dial tcp|i/o timeout|TLS handshake timeout|Client\.Timeout exceeded|context deadline exceeded|context canceled|` +
		`request canceled|no such host|connection re(?:fused|set)|connection issue|check your (?:task )?network configuration|` +
		`unexpected EOF|server misbehaving|50[0234] (?:Internal|Bad|Service|Gateway)`)

	pulls     = text(`CannotPull|pull image manifest has been retried|ref pull has been retried|can't pull the image|cannot pull '`)
	resources = text(`ResourceInitializationError|ResourceNotFoundException|unable to pull secrets or registry auth|failed to initialize logging driver`)
	starts    = text(`CannotStart\w*Error|CannotCreate\w*Error|ContainerRuntime(?:Timeout)?Error|DockerTimeoutError|DockerStateError|` +
		`ContainerNetworkingError|TaskDependencyError|HostConfigError|InvalidVolumeError|CannotInspect\w*Error|CannotDescribe\w*Error|` +
		`CannotStop\w*Error|ContainerVanishedError|TaskFailedToStart|Task failed to start|InternalError|Unexpected EC2 error|` +
		`attach network interface|not compatible with the selected compute strategy|could not launch|consistently start tasks`)
	anything = text(``)
)

const (
	hintECRRole = "let the task execution role pull: ecr:GetAuthorizationToken, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer (and the repository's policy, from another account)"
	hintNetwork = "tasks need a way to the registry: a NAT gateway, a public IP, or VPC endpoints for ECR (api and dkr), S3 and CloudWatch Logs"
	hintBuildIt = "build for it: build.platform in weelo-deploy.yaml"
)

// rules are tried in order; the first that matches any text of the task decides.
var rules = slices.Concat(everywhere, resourceRules, pullRules, startRules)

var everywhere = []rule{
	{anything, execFormat, event.CodeExecFormat, Fatal, "cannot run: exec format error", []string{hintArch}},
	{unhealthy, text(`container health ?check`), event.CodeUnhealthyContainer, Counts, "failed its container health check", []string{
		"run the healthCheck's command in the container yourself; a slow start wants a longer startPeriod"}},
	{unhealthy, text(`ELB|target-group|load balancer`), event.CodeUnhealthyTarget, Counts, "failed the health checks of its load balancer", []string{
		"look at what the target group asks (path, port, codes), what the container answers, and whether its security group lets the load balancer in; " +
			"a slow start wants a longer healthCheckGracePeriodSeconds"}},
	{unhealthy, text(`Cloud ?Map|Route ?53|service discovery`), event.CodeUnhealthyCloudMap, Counts, "failed the health checks of Cloud Map", []string{
		"look at the health check of the Cloud Map service, and whether the container answers it"}},
	{unhealthy, nil, event.CodeUnhealthy, Counts, "failed its health checks", []string{
		"see what the health check asks and what the container answers; a slow start wants a longer healthCheckGracePeriodSeconds or startPeriod"}},
}

var resourceRules = []rule{
	{resources, text(`(?:secret|parameter)s?\b.*(?:whether the secret exists|can't find|not exist|not found|ParameterNotFound|invalid parameters?)|` +
		`(?:can't find|ParameterNotFound|invalid (?:ssm )?parameters?).*(?:secret|parameter)`),
		event.CodeResourceSecret, Fatal, "a secret or parameter of the task definition does not exist", []string{
			"check the valueFrom of the container's secrets: name, Region and account"}},
	{resources, text(`log group`), event.CodeResourceLogGroup, Fatal, "the log group of the task definition does not exist", []string{
		"create it (aws logs create-log-group --log-group-name NAME), or set awslogs-create-group to true and let the execution role create it"}},
	{resources, network, event.CodeResourceNetwork, Waits, "its resources cannot be reached over the network", []string{hintNetwork}},
	{resources, text(`not authorized|AccessDenied|permission`), event.CodeResourceDenied, Counts, "may not read what it needs to start", []string{
		"let the task execution role read the secrets (secretsmanager:GetSecretValue, ssm:GetParameters, kms:Decrypt) and environment files (s3:GetObject), and write logs"}},
	{resources, text(`EFS|volume`), event.CodeResourceVolume, Counts, "its volume cannot be mounted", []string{
		"check the file system's mount targets, its security group (port 2049), and the access point"}},
	{resources, nil, event.CodeResourceInit, Counts, "its resources cannot be set up", []string{
		"look at the task execution role, at the tasks' network, and at what the definition names: secrets, log group, volumes, environment files"}},
}

var pullRules = []rule{
	{pulls, text(`does not contain descriptor(?: matching platform '([^']+))?`), event.CodeCannotPullPlatform, Fatal,
		"the image has no variant for the platform of the tasks", []string{hintArch, hintBuildIt}},
	{pulls, text(`no match(?:ing manifest)? for (?:platform|\S+ in the manifest)|does not (?:match the specified|provide the specified|support this) platform|` +
		`image operating system "?\w+"? cannot be used`), event.CodeCannotPullPlatform, Fatal,
		"the image has no variant for the platform of the tasks", []string{hintArch, hintBuildIt}},
	{pulls, text(`vnd\.in-toto`), event.CodeCannotPullAttestation, Fatal, "the image reference names an attestation, not an image", []string{
		"pin the digest of the runnable manifest, and build without attestations (--provenance=false --sbom=false)"}},
	{pulls, text(`number of layers and diffIDs`), event.CodeCannotPullLayers, Fatal, "the image's layers do not fit its configuration (compressed in different ways)", []string{
		"push all layers with one compression (gzip): build the image anew and push it under a new tag"}},
	{pulls, text(`no space left on device`), event.CodeCannotPullDisk, Counts, "the host has no disk space left for the image", []string{
		"make the image smaller, or give the task more ephemeral storage (ephemeralStorage.sizeInGiB) or the host a larger disk"}},
	{pulls, text(`toomanyrequests|rate limit`), event.CodeCannotPullRateLimit, Waits, "the registry limits how often images are pulled", []string{
		"pull from ECR, or through an ECR pull-through cache with credentials"}},
	{pulls, text(`not authorized|AccessDenied|permissions to pull|denied|no basic auth|insufficient_scope|40[13] (?:Unauthorized|Forbidden)|unauthorized|CannotPullContainerAuth`),
		event.CodeCannotPullDenied, Fatal, "the registry denies the image", []string{hintECRRole, "Docker Hub answers so for an image that does not exist, too"}},
	{pulls, network, event.CodeCannotPullNetwork, Waits, "the registry cannot be reached", []string{hintNetwork}},
	{pulls, text(`not found|manifest unknown|name unknown|not exist|check whether the image exists`), event.CodeCannotPullNotFound, Fatal,
		"the image does not exist in the registry", []string{"look whether the tag or digest is (still) there: a lifecycle policy of the repository may have expired it"}},
	{pulls, nil, event.CodeCannotPullOther, Counts, "the image cannot be pulled", []string{
		"pull it yourself by the name that the task definition has, with the task execution role's rights: docker pull IMAGE"}},
}

var startRules = []rule{
	{anything, text(`OutOfMemory`), event.CodeOutOfMemory, Counts, "was killed: out of memory", []string{
		"give the container or the task more memory, or the program a limit below it (node --max-old-space-size)"}},
	{anything, text(`limit on the number of vCPUs|provisioning capacity limit`), event.CodeQuota, Waits, "the account's quota is used up", []string{
		"ask for more in Service Quotas, or stop tasks that nobody needs"}},
	{anything, text(`placement constraint|^\s*ATTRIBUTE\s*$|no container instance met`), event.CodePlacement, Waits, "no host meets its requirements", []string{
		"compare the placement constraints, CPU, memory, ports and required attributes of the task definition with the cluster's container instances"}},
	{anything, text(`Capacity is unavailable|RESOURCE:\w+|unable to place a task|^\s*AGENT\s*$|unused device index`), event.CodeCapacity, Waits, "there is no place for it", []string{
		"look at the capacity of the cluster: container instances, their agents, CPU, memory, ports and network interfaces"}},
	{starts, text(`executable file not found|no such file or directory`), event.CodeCannotStart, Counts, "its command is not in the image", []string{
		"check entryPoint, command and workingDirectory of the container"}},
	{starts, text(`permission denied`), event.CodeCannotStart, Counts, "its command may not be run", []string{
		"check the mode bits of the file and the container's user"}},
	{starts, text(`not compatible with the selected compute strategy`), event.CodeCannotStart, Counts, "the task definition does not fit the service's launch type", []string{
		"compare requiresCompatibilities with the service's launch type or capacity providers"}},
	{starts, text(`network interface`), event.CodeCannotStart, Counts, "its network interface cannot be made", []string{
		"look at the subnets and security groups of the service: free addresses, and public IPs where they are assigned"}},
	{starts, nil, event.CodeCannotStart, Counts, "cannot be started", []string{
		"look at entryPoint, mounts, ports and limits of the container, and, on EC2, at the agent and the engine of the host"}},
}
