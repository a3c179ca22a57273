package iam

// Needs are the permissions that a release of this plan takes, in the order of
// its stages. An action on a resource is named once, with the first stage that
// calls it.
func Needs(p Plan) []Need {
	var l list
	l.preflight(p)
	if !p.ReleasesOnly {
		l.push(p)
	}
	l.register(p)
	if p.BeforeTasks {
		l.beforeTasks(p)
	}
	l.deploy(p)
	l.watch(p)
	if p.Project != "" {
		l.codebuild(p)
	}
	return l
}

// DoctorNeeds are the permissions that only doctor uses: it says less without
// them.
func DoctorNeeds(p Plan) []Need {
	var l list
	l.may("doctor", "what a lifecycle policy would expire is not looked at", []string{p.repository()},
		"ecr:GetLifecyclePolicy", "ecr:StartLifecyclePolicyPreview", "ecr:GetLifecyclePolicyPreview")
	l.may("doctor", "permissions are told only from the calls that doctor makes", p.callers(), "iam:SimulatePrincipalPolicy")
	l.may("doctor", "a role with a path cannot be simulated", p.callers()[:1], "iam:GetRole")
	return l
}

// callers are the roles and the users that the caller is one of. Its own identity
// would be enough, but its ARN is not known to a plan.
func (p Plan) callers() []string {
	self := "arn:" + partition(p.Region) + ":iam::" + known(p.Account) + ":"
	return []string{self + "role/*", self + "user/*"}
}

// list collects needs.
type list []Need

// add takes actions without which the release cannot work.
func (l *list) add(stage string, resources []string, actions ...string) {
	l.put(Need{Stage: stage}, resources, actions)
}

// may takes actions without which the release works, and says how.
func (l *list) may(stage, without string, resources []string, actions ...string) {
	l.put(Need{Stage: stage, Without: without}, resources, actions)
}

func (l *list) put(n Need, resources, actions []string) {
	for _, n.Action = range actions {
		for _, n.Resource = range resources {
			if !l.has(n) {
				*l = append(*l, n)
			}
		}
	}
}

func (l *list) has(n Need) bool {
	for _, have := range *l {
		if have.Action == n.Action && have.Resource == n.Resource && have.Condition == n.Condition {
			return true
		}
	}
	return false
}

var anything = []string{"*"}

func (l *list) preflight(p Plan) {
	service := []string{p.service()}
	l.add("preflight", service, "ecs:DescribeServices")
	l.may("preflight", "a mistyped cluster gets no suggestion", anything, "ecs:ListClusters")
	l.put(Need{Stage: "preflight", Without: "a mistyped service gets no suggestion", Condition: p.inCluster()}, anything, []string{"ecs:ListServices"})
	l.add("preflight", anything, "ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions")
	const record = "the way back is found from the tags of earlier releases only"
	l.may("preflight", record, service, "ecs:ListServiceDeployments")
	l.may("preflight", record, []string{p.service(), p.arn("ecs", "service-deployment/"+p.inService()+"/*")}, "ecs:DescribeServiceDeployments")
	l.may("preflight", record, []string{p.service(), p.arn("ecs", "service-revision/"+p.inService()+"/*")}, "ecs:DescribeServiceRevisions")
	repository := []string{p.repository()}
	l.add("preflight", anything, "ecr:GetAuthorizationToken")
	l.add("preflight", repository, "ecr:DescribeRepositories", "ecr:DescribeImages", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
}

func (l *list) push(p Plan) {
	l.add("push", []string{p.repository()}, "ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart",
		"ecr:CompleteLayerUpload", "ecr:PutImage")
}

func (l *list) register(p Plan) {
	definitions := []string{p.definitions()}
	l.add("register", definitions, "ecs:RegisterTaskDefinition", "ecs:TagResource", "ecs:ListTagsForResource")
	l.passRoles("register", p)
}

// passRoles lets ECS give the tasks their roles.
func (l *list) passRoles(stage string, p Plan) {
	roles := p.Roles
	if len(roles) == 0 {
		roles = []string{"arn:" + partition(p.Region) + ":iam::" + known(p.Account) + ":role/*"}
	}
	l.put(Need{Stage: stage, Condition: Condition{"StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com"}}, roles, []string{"iam:PassRole"})
}

func (l *list) beforeTasks(p Plan) {
	l.put(Need{Stage: "before-tasks", Condition: p.inCluster()}, []string{p.definitions()}, []string{"ecs:RunTask"})
	l.put(Need{Stage: "before-tasks", Condition: p.inCluster()}, anything, []string{"ecs:ListTasks"})
	l.add("before-tasks", []string{p.tasks()}, "ecs:DescribeTasks")
	l.may("before-tasks", "a before-task that must be stopped goes on", []string{p.tasks()}, "ecs:StopTask")
	l.may("before-tasks", "the rights for what follows are not looked at before data is changed", p.callers(), "iam:SimulatePrincipalPolicy")
}

func (l *list) deploy(p Plan) {
	l.add("deploy", []string{p.service()}, "ecs:UpdateService")
}

func (l *list) watch(p Plan) {
	l.put(Need{Stage: "watch", Condition: p.inCluster()}, anything, []string{"ecs:ListTasks"})
	l.add("watch", []string{p.tasks()}, "ecs:DescribeTasks")
	var groups, streams []string
	for _, g := range p.logGroups() {
		groups, streams = append(groups, g+":*"), append(streams, g+":log-stream:*")
	}
	if p.LogChecks {
		l.add("checks", streams, "logs:GetLogEvents")
	} else {
		l.may("watch", "a failure is reported without the last lines of the task", streams, "logs:GetLogEvents")
	}
	l.may("logs", "the command logs shows no lines", groups, "logs:FilterLogEvents")
	l.may("conclude", "a rollback deploys the target by ecs:UpdateService", []string{p.service(), p.arn("ecs", "service-deployment/"+p.inService()+"/*")},
		"ecs:StopServiceDeployment")
	l.may("conclude", "tags of earlier releases stay on the revision", []string{p.definitions()}, "ecs:UntagResource")
	l.may("conclude", "a revision that failed stays registered", anything, "ecs:DeregisterTaskDefinition")
}

func (p Plan) logGroups() []string {
	groups := p.LogGroups
	if len(groups) == 0 {
		groups = []string{"*"}
	}
	var out []string
	for _, g := range groups {
		out = append(out, p.arn("logs", "log-group:"+g))
	}
	return out
}

func (l *list) codebuild(p Plan) {
	project := []string{p.arn("codebuild", "project/"+p.Project)}
	l.add("build", project, "codebuild:BatchGetProjects", "codebuild:StartBuild", "codebuild:BatchGetBuilds")
	l.may("build", "a build goes on when the release is interrupted", project, "codebuild:StopBuild")
	l.add("build", []string{"arn:" + partition(p.Region) + ":s3:::" + known(p.Bucket) + "/*"}, "s3:PutObject")
	l.may("build", "the packed sources stay in the bucket", []string{"arn:" + partition(p.Region) + ":s3:::" + known(p.Bucket) + "/*"}, "s3:DeleteObject")
	l.may("build", "the build's output is not shown", []string{p.arn("logs", "log-group:/aws/codebuild/"+p.Project+":log-stream:*")}, "logs:GetLogEvents")
}

// inCluster limits actions whose resource cannot be limited to the cluster.
func (p Plan) inCluster() Condition { return Condition{"ArnLike", "ecs:cluster", p.clusterARN()} }
