package output

import "github.com/weelo/weelo-deploy/internal/event"

// failureSamples are failures as the packages that find them word them. A code
// without one is shown with its documented meaning.
func failureSamples() map[string]*event.Failure {
	fail := func(text string) *event.Failure { return event.Fail("", text) }
	task := func(f *event.Failure, container string, exit, tasks int, logs ...string) *event.Failure {
		f.Container, f.Tasks, f.Logs = container, tasks, logs
		if exit >= 0 {
			f.ExitCode = &exit
		}
		return f
	}
	samples := taskSamples(fail, task)
	for code, f := range map[string]*event.Failure{
		"USAGE":         fail(`there is no command "relaese"`).Hint("did you mean release?").Try("weelo-deploy --help"),
		"CONFIG":        fail(`weelo-deploy.yaml:3:1: unknown key "clustr"`).See("3 | clustr: a", "  | ^^^^^^").Hint(`did you mean "cluster"?`),
		"CREDENTIALS":   fail("AWS does not accept the credentials: ExpiredToken: the security token is expired").Hint("sign in again").Try("aws sts get-caller-identity"),
		"WRONG_ACCOUNT": fail("these are credentials of account 111111111111, and the configuration allows 318774499084 only").Hint("choose another profile: AWS_PROFILE"),
		"NOT_FOUND":     fail("there is no service backend in cluster weelocluster").Hint("did you mean backend-v2?"),
		"ACCESS_DENIED": fail("list the deployments of service backend: not authorized to perform ecs:ListServiceDeployments").Hint("allow ecs:ListServiceDeployments"),
		"DEPLOYMENT_IN_PROGRESS": fail("a deployment is in progress: ecs-svc/7 of weelobackendtask:37, since 12m").See("it is stuck: 6 tasks failed").
			Hint("wait for it with --wait, or replace it with --supersede").Try("weelo-deploy rollback"),
		"NO_ENGINE":          fail("the Docker engine at unix:///var/run/docker.sock does not answer").Hint("start it").Try("docker version"),
		"BUILD_FAILED":       {Message: "build step [4/5] RUN npm ci failed: exit code 1", Logs: []string{"npm ERR! code E401", "npm ERR! unauthorized"}},
		"PLATFORM_MISMATCH":  fail("the image is for linux/arm64, and the service runs linux/amd64").See("config: linux/arm64").Hint("build it natively for linux/amd64"),
		"BINARY_MISMATCH":    fail("node_modules/bcrypt/lib/binding/bcrypt_lib.node is for musl, and the program that loads it uses glibc").See("layer 4, RUN npm ci").Hint("build the module in the image that runs it"),
		"PUSH_FAILED":        fail("push " + repo + ":v1: there is no space left where the registry or the engine stores it").Hint("free some of the engine's disk: docker system prune"),
		"TAG_IMMUTABLE":      fail("the tag v1 of repository weelo-backend names another image, and the repository's tags are immutable").See("v1 is sha256:9f2c").Hint("give this image another tag with --tag"),
		"INVALID_DEFINITION": fail("ECS refuses the task definition: ClientException: No Fargate configuration exists for given values"),
		"TIMEOUT":            fail("no progress for 10m0s").See("awaited: 1 of 2 tasks running"),
		"ECS_ROLLED_BACK":    fail("ECS's circuit breaker rolled the deployment back"),
		"SUPERSEDED":         fail("weelobackendtask:39 was deployed by somebody else").See("deployment ecs-svc/77 is PRIMARY since 09:15:02").Try("weelo-deploy status"),
		"INTERRUPTED":        fail("interrupt in stage watch").See("the deployment goes on").Try("weelo-deploy watch", "weelo-deploy rollback"),
		"INTERNAL":           fail("the service can no longer be watched").See("the deployment goes on in ECS, and nothing was rolled back").Try("weelo-deploy watch", "weelo-deploy rollback"),
	} {
		samples[code] = f
	}
	return samples
}

// taskSamples are failures that a task showed.
func taskSamples(fail func(string) *event.Failure, task func(*event.Failure, string, int, int, ...string) *event.Failure) map[string]*event.Failure {
	pull := "CannotPullContainerError: "
	return map[string]*event.Failure{
		"EXIT_139_SIGSEGV": crash(),
		"EXIT_132_SIGILL":  task(fail("container web exited with 132 (SIGILL), 1 s after it started").See("task 3d8d97aa stopped: Essential container in task exited"), "web", 132, 1),
		"EXIT_135_SIGBUS":  task(fail("container web exited with 135 (SIGBUS), 1 s after it started").See("task 3d8d97aa stopped: Essential container in task exited"), "web", 135, 1),
		"EXIT_1":           task(fail("container web exited with 1, 2 s after it started").Hint("read its log"), "web", 1, 2, "Error: DATABASE_URL is not set", "    at boot (/app/dist/main.js:12:9)"),
		"EXEC_FORMAT":      task(fail("container web could not be started: exec format error").See("exec /app: exec format error").Hint("build for the tasks' platform"), "web", 255, 1),
		"OUT_OF_MEMORY":    task(fail("container web was killed: out of memory").See("memory limit 512 MiB").Hint("raise the memory of the task definition"), "web", 137, 2, "FATAL ERROR: heap limit"),
		"CANNOT_PULL_PLATFORM": fail("the image has no manifest for linux/amd64").
			See(pull + "image Manifest does not contain descriptor matching platform 'linux/amd64'"),
		"CANNOT_PULL_NOT_FOUND": fail("the image is not in the registry").See(pull + "failed to resolve ref " + repo + "@sha256:9f2c: not found"),
		"CANNOT_PULL_DENIED":    fail("the registry denies the image").See(pull + "pull access denied").Hint("allow the execution role ecr:BatchGetImage"),
		"CANNOT_PULL_OTHER":     fail("the image could not be pulled").See(pull + "dial tcp: i/o timeout"),
		"CANNOT_START":          fail("container web could not be created").See("CannotCreateContainerError: no such user: app"),
		"RESOURCE_INIT":         fail("the secret of DATABASE_URL cannot be read").See("ResourceInitializationError: unable to pull secrets or registry auth: ResourceNotFoundException"),
		"UNHEALTHY":             task(fail("container web is unhealthy"), "web", -1, 2, "listening on 3000"),
		"TASK_FAILED":           fail("the task stopped: TaskFailedToStart: ENI provisioning"),
	}
}
