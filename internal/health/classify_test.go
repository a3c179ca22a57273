package health

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

const taskARN = "arn:aws:ecs:ap-south-1:318774499084:task/weelocluster/0123456789abcdef0123456789abcdef"

// dead is a stopped task with one container.
func dead(code types.TaskStopCode, reason string, c types.Container) types.Task {
	if c.Name == nil {
		c.Name = aws.String("app")
	}
	return types.Task{
		TaskArn: aws.String(taskARN), TaskDefinitionArn: aws.String("arn:aws:ecs:ap-south-1:318774499084:task-definition/weelo:38"),
		LastStatus: aws.String("STOPPED"), DesiredStatus: aws.String("STOPPED"), StopCode: code,
		StoppedReason: aws.String(reason), Containers: []types.Container{c},
	}
}

func exited(n int32) types.Container { return types.Container{ExitCode: &n} }

// The texts are those of ecs "Stopped tasks error messages" and of the tasks
// that users showed; a name in [] says where: F Fargate (task), E EC2 (container).
var texts = []struct {
	name, text string
	code       event.Code
	weight     Weight
	says       string
}{
	{"platform mismatch on Fargate", "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'", event.CodeCannotPullPlatform, Fatal, "(linux/amd64)"},
	{"without the retries", "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/arm64/v8'", event.CodeCannotPullPlatform, Fatal, "(linux/arm64/v8)"},
	{"cut before the platform", "CannotPullContainerError: pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor mat", event.CodeCannotPullPlatform, Fatal, "no variant"},
	{"platform mismatch with Docker", "CannotPullContainerError: Error response from daemon: no matching manifest for linux/amd64 in the manifest list entries", event.CodeCannotPullPlatform, Fatal, "no variant"},
	{"missing tag", "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref " + uri + ": " + uri + ": not found", event.CodeCannotPullNotFound, Fatal, "does not exist"},
	{"missing, cut", ("CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref " + strings.Repeat("x", 300))[:255], event.CodeCannotPullOther, Counts, "cannot be pulled"},
	{"role without permission", "CannotPullContainerError: The task can't pull the image. Check that the role has the permissions to pull images from the registry.", event.CodeCannotPullDenied, Fatal, "denies"},
	{"curly apostrophe", "CannotPullContainerError: The task can’t pull the image. Check that the role has the permissions to pull images from the registry. denied: User: arn:aws:sts::1:assumed-role/r is not authorized to perform: ecr:BatchGetImage on resource: arn", event.CodeCannotPullDenied, Fatal, "denies"},
	{"docker hub", "CannotPullContainerError: The task can’t pull the image. Check whether the image exists. Error response from daemon: denied: requested access to the resource is denied", event.CodeCannotPullDenied, Fatal, "denies"},
	{"agent, image gone", "CannotPullContainerError: The task can’t pull the image. Check whether the image exists.", event.CodeCannotPullNotFound, Fatal, "does not exist"},
	{"network advice", "CannotPullContainerError: The task can’t pull the image. Check your network configuration. Get https://x/v2/: net/http: request canceled while waiting for connection", event.CodeCannotPullNetwork, Waits, "cannot be reached"},
	{"connection issue", "The task cannot pull 'image-name' from the Amazon ECR repository 'repository URI'. There is a connection issue between the task and Amazon ECR. Check your task network configuration.", event.CodeCannotPullNetwork, Waits, "cannot be reached"},
	{"api error 500", "CannotPullContainerError: API error (500): Get https://1.dkr.ecr.r.amazonaws.com/v2/: net/http: request canceled while waiting for connection", event.CodeCannotPullNetwork, Waits, "cannot be reached"},
	{"i/o timeout", "CannotPullContainerError: failed to resolve ref: dial tcp 1.2.3.4:443: i/o timeout", event.CodeCannotPullNetwork, Waits, "cannot be reached"},
	{"get url", "CannotPullContainerError: Error response from daemon: Get url: net/http: request canceled (Client.Timeout exceeded)", event.CodeCannotPullNetwork, Waits, "cannot be reached"},
	{"context canceled", "CannotPullContainerError: Context canceled", event.CodeCannotPullNetwork, Waits, "cannot be reached"},
	{"disk", "CannotPullContainerError: write /var/lib/docker/tmp/GetImageBlob111111111: no space left on device", event.CodeCannotPullDisk, Counts, "disk space"},
	{"rate limit", "CannotPullContainerError: ERROR: toomanyrequests: Too Many Requests or You have reached your pull rate limit.", event.CodeCannotPullRateLimit, Waits, "limits how often"},
	{"layer copy", "CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy: httpReaderSeeker: failed open: unexpected status code https://x: 403 Forbidden", event.CodeCannotPullDenied, Fatal, "denies"},
	{"layer copy, other status", "CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy: httpReaderSeeker: failed open: unexpected status code", event.CodeCannotPullOther, Counts, "cannot be pulled"},
	{"layer copy, busy", "CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy: httpReaderSeeker: failed open: unexpected status code https://x: 503 Service Unavailable", event.CodeCannotPullNetwork, Waits, "cannot be reached"},
	{"insufficient scope", "CannotPullContainerError: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed", event.CodeCannotPullDenied, Fatal, "denies"},
	{"panic", "CannotPullContainerError: pull command failed: panic: runtime error: invalid memory address or nil pointer dereference", event.CodeCannotPullOther, Counts, "cannot be pulled"},
	{"image conf", "CannotPullContainerError: error pulling image conf", event.CodeCannotPullOther, Counts, "cannot be pulled"},
	{"attestation", "CannotPullContainerError: ref pull has been retried 1 time(s): failed to unpack image on snapshotter overlayfs: failed to extract layer sha256:1: failed to get stream processor for application/vnd.in-toto+json: no processor for media-type: unknown", event.CodeCannotPullAttestation, Fatal, "attestation"},
	{"mixed compression", "CannotPullContainerError: number of layers and diffIDs don't match: 3 != 15", event.CodeCannotPullLayers, Fatal, "do not fit"},
	{"agent's ECR error", "CannotPullECRContainerError: AccessDeniedException: User is not authorized", event.CodeCannotPullDenied, Fatal, "denies"},
	{"agent's auth error", "CannotPullContainerAuthError: no basic auth", event.CodeCannotPullDenied, Fatal, "denies"},
	{"agent's manifest error", "CannotPullImageManifestError: manifest unknown", event.CodeCannotPullNotFound, Fatal, "does not exist"},

	{"registry auth", "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: RequestError: send request failed caused by: Post https://api.ecr: dial tcp 1.2.3.4:443: i/o timeout", event.CodeResourceNetwork, Waits, "network"},
	{"ecr connection issue", "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network configuration.", event.CodeResourceNetwork, Waits, "network"},
	{"secret missing", "ResourceInitializationError: unable to pull secrets or registry auth: The task can't retrieve the secret with ARN 'arn:aws:secretsmanager:x' from Secrets Manager. Check whether the secret exists in the specified Region.", event.CodeResourceSecret, Fatal, "does not exist"},
	{"secret missing, curly", "ResourceInitializationError: unable to pull secrets or registry auth: The task can’t retrieve the secret with ARN ‘arn’ from Secrets Manager. Check whether the secret exists in the specified Region. ResourceNotFoundException: Secrets Manager can’t find the specified secret.", event.CodeResourceSecret, Fatal, "does not exist"},
	{"parameter missing", "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid parameters: /prod/db", event.CodeResourceSecret, Fatal, "does not exist"},
	{"secrets manager connection", "ResourceInitializationError: unable to pull secrets or registry auth: There is a connection issue between the task and AWS Secrets Manager. Check your task network configuration.", event.CodeResourceNetwork, Waits, "network"},
	{"secret denied", "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: AccessDeniedException: User is not authorized to perform: secretsmanager:GetSecretValue", event.CodeResourceDenied, Counts, "may not read"},
	{"pull command", "ResourceInitializationError: pull command failed: unable to pull secrets or registry auth: signal: killed", event.CodeResourceInit, Counts, "cannot be set up"},
	{"log group", "ResourceInitializationError: failed to validate logger args: The task cannot find the Amazon CloudWatch log group defined in the task definition. There is a connection issue? No.", event.CodeResourceLogGroup, Fatal, "log group"},
	{"parameter store connection", "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secrets from ssm: The task cannot retrieve the parameter from AWS Systems Manager Parameter Store: Post https://ssm.ap-south-1.amazonaws.com: net/http: TLS handshake timeout", event.CodeResourceNetwork, Waits, "network"},
	{"env files, connection", "ResourceInitializationError: failed to download env files: file download command: RequestError: send request failed caused by: Get https://s3: dial tcp: i/o timeout", event.CodeResourceNetwork, Waits, "network"},
	{"env files, denied", "ResourceInitializationError: failed to download env files: file download command: AccessDenied: Access Denied status code: 403", event.CodeResourceDenied, Counts, "may not read"},
	{"log group as the docs write it", "ResourceInitializationError: The task cannot find the Amazon CloudWatch log group defined in the task definition. Check that it exists.", event.CodeResourceLogGroup, Fatal, "log group"},
	{"logging driver", "ResourceInitializationError: failed to initialize logging driver: failed to create Cloudwatch log stream: RequestCanceled: request context canceled caused by: context deadline exceeded", event.CodeResourceNetwork, Waits, "network"},
	{"logging driver, other", "failed to initialize logging driver: awslogs region is missing", event.CodeResourceInit, Counts, "cannot be set up"},
	{"efs", "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: Failed to resolve fs-1", event.CodeResourceVolume, Counts, "volume"},
	{"env files", "ResourceInitializationError: failed to download env files: file download command: non empty error stream: service call has been retried 5 time(s)", event.CodeResourceInit, Counts, "cannot be set up"},

	{"network interface", "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet 'subnet-1'", event.CodeCannotStart, Counts, "network interface"},
	{"internal", "InternalError: something", event.CodeCannotStart, Counts, "cannot be started"},
	{"compute strategy", "The selected task definition is not compatible with the selected compute strategy", event.CodeCannotStart, Counts, "launch type"},
	{"device index", "Unable to attach network interface to unused device index", event.CodeCapacity, Waits, "no place"},
	{"agent", "AGENT", event.CodeCapacity, Waits, "no place"},
	{"cpu", "RESOURCE:CPU", event.CodeCapacity, Waits, "no place"},
	{"placement", "MemberOf placement constraint unsatisfied.", event.CodePlacement, Waits, "requirements"},
	{"capacity", "Capacity is unavailable at this time. Please try again later or in a different availability zone", event.CodeCapacity, Waits, "no place"},
	{"quota", "You've reached the limit on the number of vCPUs you can run concurrently", event.CodeQuota, Waits, "quota"},
	{"memory", "RESOURCE:MEMORY", event.CodeCapacity, Waits, "no place"},
	{"attribute", "ATTRIBUTE", event.CodePlacement, Waits, "requirements"},
	{"internal on Fargate", "TaskFailedToStart: InternalError: try again", event.CodeCannotStart, Counts, "cannot be started"},
	{"words of tomorrow", "MISSING", event.CodeCannotStart, Counts, "MISSING"},
	{"start", "CannotStartContainerError: failed to get container status: <reason>", event.CodeCannotStart, Counts, "cannot be started"},
	{"command not there", `CannotStartContainerError: Error response from daemon: failed to create task: exec: "nod": executable file not found in $PATH: unknown`, event.CodeCannotStart, Counts, "not in the image"},
	{"command not executable", `CannotStartContainerError: exec: "/app/run": permission denied`, event.CodeCannotStart, Counts, "may not be run"},
	{"exec format", `CannotStartContainerError: exec /app/server: exec format error`, event.CodeExecFormat, Fatal, "exec format"},
	{"create", "CannotCreateContainerError: API error (500): devmapper", event.CodeCannotStart, Counts, "cannot be started"},
	{"volume", "CannotCreateVolumeError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"stop", "CannotStopContainerError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"inspect", "CannotInspectContainerError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"describe", "CannotDescribeContainerError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"runtime", "ContainerRuntimeError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"runtime timeout", "ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m", event.CodeCannotStart, Counts, "cannot be started"},
	{"docker timeout", "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s", event.CodeCannotStart, Counts, "cannot be started"},
	{"docker state", "DockerStateError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"networking", "ContainerNetworkingError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"dependency", "TaskDependencyError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"host config", "HostConfigError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"invalid volume", "InvalidVolumeError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"vanished", "ContainerVanishedError: x", event.CodeCannotStart, Counts, "cannot be started"},
	{"oom", "OutOfMemoryError: Container killed due to memory usage", event.CodeOutOfMemory, Counts, "out of memory"},
	{"oom, as documented", "OutOfMemoryError: container killed due to memory usage", event.CodeOutOfMemory, Counts, "out of memory"},
	{"elb", "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:x)", event.CodeUnhealthyTarget, Counts, "load balancer"},
	{"container health", "Task failed container health checks", event.CodeUnhealthyContainer, Counts, "container health check"},
	{"cloud map health", "Task failed Cloud Map health checks", event.CodeUnhealthyCloudMap, Counts, "Cloud Map"},
	{"route 53 health", "Task failed Route 53 health checks", event.CodeUnhealthyCloudMap, Counts, "Cloud Map"},
	{"lattice health", "Task failed VPC Lattice health checks", event.CodeUnhealthy, Counts, "health checks"},
}

const uri = "318774499084.dkr.ecr.ap-south-1.amazonaws.com/weelo-backend:v2"

func TestClassify_texts(t *testing.T) {
	for _, c := range texts {
		for where, task := range map[string]types.Task{
			"F": dead(types.TaskStopCodeTaskFailedToStart, c.text, types.Container{}),
			"E": dead(types.TaskStopCodeTaskFailedToStart, "Task failed to start", types.Container{Reason: &c.text}),
		} {
			t.Run(c.name+"["+where+"]", func(t *testing.T) {
				got := Classify(Facts{Task: task})
				if got.Code != c.code || got.Weight != c.weight || !strings.Contains(got.Message, c.says) {
					t.Errorf("Classify(%q) = %s, %s, %q; want %s, %s, a message with %q", c.text, got.Code, got.Weight, got.Message, c.code, c.weight, c.says)
				}
				if got.Reason != c.text {
					t.Errorf("Reason = %q, want AWS's words", got.Reason)
				}
			})
		}
	}
}

// Fargate cuts texts at 255 characters, since 2025 at 1024; a pull of a long
// image name leaves little of the reason.
func TestClassify_cutTexts(t *testing.T) {
	for _, c := range texts {
		for n := 0; n < len(c.text); n += 7 {
			cut := strings.ToValidUTF8(c.text[:n], "")
			got := Classify(Facts{Task: dead(types.TaskStopCodeTaskFailedToStart, cut, types.Container{})})
			if got.Weight == Fatal && c.weight != Fatal {
				t.Errorf("Classify(%q) = %s, fatal; the whole text is %s, %s", cut, got.Code, c.code, c.weight)
			}
		}
	}
	for size, want := range map[int]event.Code{255: event.CodeCannotPullOther, 1024: event.CodeCannotPullNotFound} {
		long := strings.Repeat("weelo-backend/", 30)
		said := ("CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref " + long + ":v2: " + ": not found" + strings.Repeat(" ", 1024))[:size]
		if got := Classify(Facts{Task: dead(types.TaskStopCodeTaskFailedToStart, said, types.Container{})}); got.Code != want {
			t.Errorf("cut at %d: %s, want %s", size, got.Code, want)
		}
	}
}

// The categories of "Stopped tasks error messages", and the names that the ECS
// agent gives its errors, whatever follows them.
func TestClassify_categories(t *testing.T) {
	for name, want := range map[string]event.Code{
		"TaskFailedToStart": event.CodeCannotStart, "ResourceInitializationError": event.CodeResourceInit, "ResourceNotFoundException": event.CodeResourceInit,
		"SpotInterruptionError": event.CodeSpot, "InternalError": event.CodeCannotStart, "OutOfMemoryError": event.CodeOutOfMemory,
		"ContainerRuntimeError": event.CodeCannotStart, "ContainerRuntimeTimeoutError": event.CodeCannotStart, "CannotStartContainerError": event.CodeCannotStart,
		"CannotStopContainerError": event.CodeCannotStart, "CannotInspectContainerError": event.CodeCannotStart, "CannotCreateVolumeError": event.CodeCannotStart,
		"CannotPullContainer": event.CodeCannotPullOther, "CannotPullContainerError": event.CodeCannotPullOther, "CannotPullECRContainerError": event.CodeCannotPullOther,
		"CannotPullContainerAuthError": event.CodeCannotPullDenied, "CannotPullImageManifestError": event.CodeCannotPullOther,
		"CannotCreateContainerError": event.CodeCannotStart, "CannotDescribeContainerError": event.CodeCannotStart, "DockerTimeoutError": event.CodeCannotStart,
		"DockerStateError": event.CodeCannotStart, "ContainerNetworkingError": event.CodeCannotStart, "TaskDependencyError": event.CodeCannotStart,
		"HostConfigError": event.CodeCannotStart, "InvalidVolumeError": event.CodeCannotStart, "ContainerVanishedError": event.CodeCannotStart,
	} {
		said := name + ": words that nobody knows"
		for _, task := range []types.Task{dead("", said, types.Container{}), dead("", "Task failed to start", types.Container{Reason: &said})} {
			if got := Classify(Facts{Task: task}); got.Code != want || got.Reason != said {
				t.Errorf("Classify(%q) = %s, reason %q; want %s", said, got.Code, got.Reason, want)
			}
		}
	}
}

// Every stop code of the SDK, those of tomorrow's too, with and without words.
func TestClassify_everyStopCode(t *testing.T) {
	want := map[types.TaskStopCode]event.Code{
		types.TaskStopCodeTaskFailedToStart: event.CodeCannotStart, types.TaskStopCodeEssentialContainerExited: "EXIT_1",
		types.TaskStopCodeUserInitiated: event.CodeStoppedByUser, types.TaskStopCodeServiceSchedulerInitiated: event.CodeRescheduled,
		types.TaskStopCodeSpotInterruption: event.CodeSpot, types.TaskStopCodeTerminationNotice: event.CodeHostRetired,
		types.TaskStopCodeInfrastructureHealth: event.CodeHostRetired,
	}
	for _, code := range types.TaskStopCode("").Values() {
		c := types.Container{}
		if code == types.TaskStopCodeEssentialContainerExited {
			c = exited(1)
		}
		if got := Classify(Facts{Task: dead(code, "", c)}); want[code] == "" || got.Code != want[code] {
			t.Errorf("Classify(%s) = %s, want %s", code, got.Code, want[code])
		}
	}
}

func TestClassify_exits(t *testing.T) {
	for _, c := range []struct {
		name   string
		exit   int32
		tail   []string
		seen   bool
		code   event.Code
		weight Weight
		says   string
	}{
		{"segfault", 139, nil, false, "EXIT_139_SIGSEGV", Fatal, "exited with 139 (SIGSEGV), 1.2s after it started"},
		{"illegal instruction", 132, nil, false, "EXIT_132_SIGILL", Fatal, "132 (SIGILL)"},
		{"bus error", 135, nil, false, "EXIT_135_SIGBUS", Fatal, "135 (SIGBUS)"},
		{"abort", 134, nil, false, "EXIT_134_SIGABRT", Counts, "134 (SIGABRT)"},
		{"kill without oom", 137, nil, false, "EXIT_137_SIGKILL", Counts, "137 (SIGKILL)"},
		{"term", 143, nil, false, "EXIT_143_SIGTERM", Counts, "143 (SIGTERM)"},
		{"generic", 1, []string{"Error: no database"}, false, "EXIT_1", Counts, "exited with 1"},
		{"not executable", 126, nil, false, "EXIT_126", Counts, "126"},
		{"not found", 127, nil, false, "EXIT_127", Counts, "127"},
		{"255", 255, nil, false, "EXIT_255", Counts, "255"},
		{"128 names no signal", 128, nil, false, "EXIT_128", Counts, "128"},
		{"159", 159, nil, false, "EXIT_159_SIGSYS", Counts, "159 (SIGSYS)"},
		{"160 names no signal", 160, nil, false, "EXIT_160", Counts, "160"},
		{"exec format in the log", 1, []string{"exec /usr/local/bin/node: exec format error"}, false, event.CodeExecFormat, Fatal, "exec format error"},
		{"exec format, 255", 255, []string{"standard_init_linux.go:228: exec user process caused: exec format error"}, false, event.CodeExecFormat, Fatal, "exec format error"},
		{"wrapper", 1, []string{"starting", "Segmentation fault (core dumped)"}, false, "EXIT_139_SIGSEGV", Fatal, "exited with 1 after a process in it died by SIGSEGV"},
		{"npm", 1, []string{"npm ERR! errno 139"}, false, "EXIT_139_SIGSEGV", Fatal, "SIGSEGV"},
		{"npm signal", 1, []string{"npm error signal SIGSEGV"}, false, "EXIT_139_SIGSEGV", Fatal, "SIGSEGV"},
		{"qemu", 1, []string{"qemu: uncaught target signal 11 (Segmentation fault) - core dumped"}, false, "EXIT_139_SIGSEGV", Fatal, "SIGSEGV"},
		{"wrapped illegal instruction", 1, []string{"Illegal instruction"}, false, "EXIT_132_SIGILL", Fatal, "SIGILL"},
		{"wrapped bus error", 1, []string{"Bus error (core dumped)"}, false, "EXIT_135_SIGBUS", Fatal, "SIGBUS"},
		{"a nil pointer in Go is a fault of the program", 2, []string{"panic: runtime error: invalid memory address or nil pointer dereference", "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]"}, false, "EXIT_2", Counts, "exited with 2"},
		{"0 before anything was healthy", 0, nil, false, "EXIT_0", Counts, "exited with 0"},
		{"0 afterwards is work done", 0, nil, true, event.CodeWorkDone, Ignored, "its work was done"},
		{"139 afterwards is a crash", 139, nil, true, "EXIT_139_SIGSEGV", Fatal, "139"},
	} {
		t.Run(c.name, func(t *testing.T) {
			task := dead(types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", exited(c.exit))
			start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
			task.StartedAt, task.ExecutionStoppedAt = &start, aws.Time(start.Add(1200*time.Millisecond))
			got := Classify(Facts{Task: task, LogTail: c.tail, HealthySeen: c.seen})
			if got.Code != c.code || got.Weight != c.weight || !strings.Contains(got.Message, c.says) {
				t.Errorf("Classify(exit %d) = %s, %s, %q; want %s, %s, a message with %q", c.exit, got.Code, got.Weight, got.Message, c.code, c.weight, c.says)
			}
			if got.Container != "app" || got.ExitCode == nil || *got.ExitCode != int(c.exit) {
				t.Errorf("Container, ExitCode = %q, %v; want app, %d", got.Container, got.ExitCode, c.exit)
			}
		})
	}
}

func TestClassify_neverCounted(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   types.TaskStopCode
		reason string
		exit   int32
		want   event.Code
	}{
		{"scaling in", types.TaskStopCodeServiceSchedulerInitiated, "Scaling activity initiated by (deployment ecs-svc/1)", 137, event.CodeScaledIn},
		{"scaling in, crash in the end", types.TaskStopCodeServiceSchedulerInitiated, "Scaling activity initiated by (deployment ecs-svc/1)", 139, event.CodeScaledIn},
		{"another reason of the scheduler", types.TaskStopCodeServiceSchedulerInitiated, "AZ rebalancing", 143, event.CodeRescheduled},
		{"user", types.TaskStopCodeUserInitiated, "Task stopped by user", 139, event.CodeStoppedByUser},
		{"spot", types.TaskStopCodeSpotInterruption, "Your Spot Task was interrupted.", 137, event.CodeSpot},
		{"spot, as in AWS's samples", types.TaskStopCodeTerminationNotice, "Your Spot Task was interrupted.", 137, event.CodeSpot},
		{"spot, by its words", "", "Your Spot Task was interrupted.", 137, event.CodeSpot},
		{"bad host", types.TaskStopCodeInfrastructureHealth, "whatever", 1, event.CodeHostRetired},
		{"termination without a word of Spot", types.TaskStopCodeTerminationNotice, "Host is going away.", 137, event.CodeHostRetired},
		{"stopped with a reason", types.TaskStopCodeUserInitiated, "rotating the certificates", 0, event.CodeStoppedByUser},
		{"maintenance", "", "ECS is performing maintenance on the underlying infrastructure hosting the task.", 143, event.CodeHostRetired},
		{"host gone", types.TaskStopCodeEssentialContainerExited, "Host EC2 (instance i-0abc) terminated.", 137, event.CodeHostRetired},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Classify(Facts{Task: dead(c.code, c.reason, exited(c.exit))}); got.Weight != Ignored || got.Code != c.want {
				t.Errorf("Classify() = %s, %s, want %s, ignored", got.Code, got.Weight, c.want)
			}
		})
	}
}

// The scheduler stops unhealthy tasks under the same code as those it scales in.
func TestClassify_unhealthyStoppedByTheScheduler(t *testing.T) {
	for reason, want := range map[string]event.Code{
		"Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:x)": event.CodeUnhealthyTarget,
		"Task failed container health checks":                                            event.CodeUnhealthyContainer,
	} {
		got := Classify(Facts{Task: dead(types.TaskStopCodeServiceSchedulerInitiated, reason, exited(137))})
		if got.Code != want || got.Weight != Counts {
			t.Errorf("Classify(%q) = %s, %s; want %s, %s", reason, got.Code, got.Weight, want, Counts)
		}
	}
}

func TestClassify_whoDecides(t *testing.T) {
	essential := func(name string) (bool, bool) { return name != "sidecar", name != "ecs-agent" }
	task := func(code types.TaskStopCode, c ...types.Container) types.Task {
		d := dead(code, "Essential container in task exited", types.Container{})
		d.Containers = c
		return d
	}
	named := func(name string, exit int32, reason string) types.Container {
		c := types.Container{Name: &name, ExitCode: &exit}
		if reason != "" {
			c.Reason = &reason
		}
		return c
	}
	for _, c := range []struct {
		name      string
		task      types.Task
		container string
		code      event.Code
	}{
		{"the one that was not stopped", task(types.TaskStopCodeEssentialContainerExited, named("proxy", 143, ""), named("app", 1, "")), "app", "EXIT_1"},
		{"not a sidecar that crashed before", task(types.TaskStopCodeEssentialContainerExited, named("sidecar", 139, ""), named("app", 1, "")), "app", "EXIT_1"},
		{"not a sidecar out of memory", task(types.TaskStopCodeEssentialContainerExited, named("sidecar", 137, "OutOfMemoryError: Container killed due to memory usage"), named("app", 1, "")), "app", "EXIT_1"},
		{"the crash among essential ones", task(types.TaskStopCodeEssentialContainerExited, named("proxy", 1, ""), named("app", 139, "")), "app", "EXIT_139_SIGSEGV"},
		{"memory before the exit code", task(types.TaskStopCodeEssentialContainerExited, named("proxy", 143, ""), named("app", 137, "OutOfMemoryError: Container killed due to memory usage")), "app", event.CodeOutOfMemory},
		{"a sidecar that cannot be pulled keeps the task from starting", task(types.TaskStopCodeTaskFailedToStart,
			types.Container{Name: aws.String("sidecar"), Reason: aws.String("CannotPullContainerError: x: not found")}, types.Container{Name: aws.String("app")}), "sidecar", event.CodeCannotPullNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Classify(Facts{Task: c.task, Essential: essential})
			if got.Container != c.container || got.Code != c.code {
				t.Errorf("Classify() = %q, %s; want %q, %s", got.Container, got.Code, c.container, c.code)
			}
		})
	}
}

func TestClassify_tomorrow(t *testing.T) {
	got := Classify(Facts{Task: dead("QuantumFlux", "The flux was inverted.", types.Container{})})
	if got.Code != event.CodeTaskFailed || got.Weight != Counts || !strings.Contains(got.Message, "QuantumFlux: The flux was inverted.") {
		t.Errorf("Classify() = %s, %s, %q; want AWS's words, counted", got.Code, got.Weight, got.Message)
	}
	if got := Classify(Facts{Task: types.Task{}}); got.Code != event.CodeTaskFailed || got.Weight != Counts {
		t.Errorf("Classify(nothing) = %s, %s", got.Code, got.Weight)
	}
	if got := Classify(Facts{Task: dead(types.TaskStopCodeTaskFailedToStart, "New words.", types.Container{})}); got.Code != event.CodeCannotStart {
		t.Errorf("Classify(an unknown failure to start) = %s, want %s", got.Code, event.CodeCannotStart)
	}
}

func TestClassify_evidence(t *testing.T) {
	task := dead(types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", exited(139))
	task.Containers[0].ImageDigest = aws.String("sha256:11")
	task.CreatedAt = aws.Time(time.Unix(1, 0))
	f := Classify(Facts{Task: task}).failure(3)
	text := strings.Join(f.Evidence, "\n")
	for _, s := range []string{"0123456789abcdef0123456789abcdef (weelo:38)", "EssentialContainerExited: Essential container in task exited",
		"container app: exit code 139 (SIGSEGV) (image sha256:11)", "never reached RUNNING"} {
		if !strings.Contains(text, s) {
			t.Errorf("evidence = %q, want it to contain %q", text, s)
		}
	}
	if f.Tasks != 3 || !strings.HasPrefix(f.Message, "3 × EXIT_139_SIGSEGV; the first: container app") || len(f.Hints) == 0 {
		t.Errorf("failure = %+v", f)
	}
}

// Whatever AWS says: no panic, a message, and a code that is documented. A text
// alone never condemns an image by an exit code, and log lines never excuse one.
func FuzzClassify(f *testing.F) {
	f.Add("EssentialContainerExited", "Essential container in task exited", "", 139, "Segmentation fault", true)
	f.Add("TaskFailedToStart", "Task failed to start", "CannotPullContainerError: does not contain descriptor matching platform '%s%d'", 0, "", false)
	for _, c := range texts {
		f.Add("TaskFailedToStart", c.text, "", 0, "", false)
		f.Add("", "Task failed to start", c.text, 1, c.text, true)
	}
	known := documentedCodes(f)
	f.Fuzz(func(t *testing.T, code, reason, containerReason string, exit int, log string, essential bool) {
		n := int32(exit)
		task := dead(types.TaskStopCode(code), reason, types.Container{Reason: &containerReason, ExitCode: &n})
		bare := Facts{Task: task, Essential: func(string) (bool, bool) { return essential, true }}
		got := Classify(bare)
		if !known(got.Code) || got.Message == "" {
			t.Errorf("Classify() = %+v: want a documented code, and always a message", got)
		}
		bare.LogTail = []string{log}
		if logged := Classify(bare); logged.Weight < got.Weight || !known(logged.Code) {
			t.Errorf("the log line %q made %s, %s of %s, %s", log, logged.Code, logged.Weight, got.Code, got.Weight)
		}
		if f, told := Announcement(reason); told && !known(f.Code) {
			t.Errorf("Announcement() = %+v: want a documented code", f)
		}
	})
}
