package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

const (
	clusterName = "bench"
	serviceName = "backend"
	region      = "us-east-1"
)

// past is a service that serves revision 1; image v2 is in the repository.
const past = `
clusters: [{name: bench}]
repositories:
  - name: weelo-backend
    images:
      - {name: v1, tags: [v1], builtin: {program: idle}}
      - {name: v2, tags: [v2], builtin: {program: ignore-term}}
logGroups: [{name: /ecs/backend}]
taskDefinitions:
  - {family: backend, revision: 1, definition: {networkMode: awsvpc, requiresCompatibilities: [FARGATE], cpu: "256", memory: "512",
      executionRoleArn: "arn:aws:iam::000000000000:role/r", runtimePlatform: {cpuArchitecture: X86_64, operatingSystemFamily: LINUX},
      containerDefinitions: [{name: app, image: "${REGISTRY}/weelo-backend:v1", essential: true,
      logConfiguration: {logDriver: awslogs, options: {awslogs-group: /ecs/backend, awslogs-region: us-east-1, awslogs-stream-prefix: ecs}}}]}}
services:
  - cluster: bench
    name: backend
    family: backend
    desiredCount: 1
    settings:
      launchType: FARGATE
      networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a1b2c3d], assignPublicIp: ENABLED}}
      deploymentConfiguration: {maximumPercent: 200, minimumHealthyPercent: 100, deploymentCircuitBreaker: {enable: false, rollback: false}}
    deployments:
      - {revision: 1, outcome: SUCCESSFUL, createdAt: -72h, digests: {app: v1}}
`

// world is a sandbox of one side and one case.
type world struct {
	server *sandbox.Server
	config aws.Config
	ecs    *ecs.Client
}

func start(ctx context.Context, speed float64, c broken) (*world, error) {
	records, err := seed.Parse("past.yaml", []byte(past))
	if err != nil {
		return nil, err
	}
	runtime := scripted.New()
	runtime.Set("backend:2", c.script)
	server, err := sandbox.Start(ctx, sandbox.Config{Listen: "127.0.0.1:0", Region: region, Speed: speed, Runtime: runtime, Seed: records})
	if err != nil {
		return nil, err
	}
	cfg := aws.Config{Region: region, BaseEndpoint: aws.String(server.URL()), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	return &world{server, cfg, ecs.NewFromConfig(cfg)}, nil
}

// measure breaks a release and says when what happened.
func measure(ctx context.Context, speed float64, c broken, s side) (t times, err error) {
	w, err := start(ctx, speed, c)
	if err != nil {
		return times{}, err
	}
	defer func() { err = errors.Join(err, w.server.Close()) }()
	base, err := w.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("backend:1")})
	if err != nil {
		return times{}, err
	}
	stable := aws.ToString(base.TaskDefinition.TaskDefinitionArn)
	called, ended := make(chan time.Time, 1), make(chan error, 1)
	if s.breaker == nil {
		go func() { ended <- w.release(ctx, called) }()
	} else {
		ended <- w.deploy(ctx, base, s)
	}
	t, err = (&observer{ecs: w.ecs}).watch(ctx, stable, called)
	return t, errors.Join(err, <-ended)
}

// deploy does what the release does to the service, and leaves the rest to ECS.
func (w *world) deploy(ctx context.Context, base *ecs.DescribeTaskDefinitionOutput, s side) error {
	d := base.TaskDefinition
	d.ContainerDefinitions[0].Image = aws.String(w.server.Registry() + "/weelo-backend:v2")
	next, err := w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: d.Family, ContainerDefinitions: d.ContainerDefinitions, NetworkMode: d.NetworkMode, RequiresCompatibilities: d.RequiresCompatibilities,
		Cpu: d.Cpu, Memory: d.Memory, ExecutionRoleArn: d.ExecutionRoleArn, RuntimePlatform: d.RuntimePlatform,
	})
	if err != nil {
		return err
	}
	now, err := release.Site{ECS: w.ecs, Cluster: clusterName, Service: serviceName}.Read(ctx)
	if err != nil {
		return err
	}
	settings := now.DeploymentConfiguration
	settings.DeploymentCircuitBreaker = s.breaker
	_, err = w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(clusterName), Service: aws.String(serviceName),
		TaskDefinition: next.TaskDefinition.TaskDefinitionArn, DeploymentConfiguration: settings, ForceNewDeployment: true})
	return err
}

// release is weelo-deploy's, with everything but the build.
func (w *world) release(ctx context.Context, called chan<- time.Time) error {
	clients := release.Clients{
		ECS: &noting{w.ecs, called}, ECR: ecr.NewFromConfig(w.config), Log: cloudwatchlogs.NewFromConfig(w.config),
		WhoAmI: func(context.Context) (string, string, error) {
			return sandbox.DefaultAccount, "arn:aws:iam::" + sandbox.DefaultAccount + ":user/bench", nil
		},
		OpenEngine: func() (release.Engine, release.Builder, error) {
			return nil, nil, event.Fail(event.CodeNoEngine, "nothing is built here")
		},
		OpenRegistry: func(a engine.Auth) release.Registry { return image.NewRemote(a, nil) },
	}
	result := release.New(release.Settings{
		Cluster: clusterName, Service: serviceName, Account: sandbox.DefaultAccount, Repository: "weelo-backend",
		Image: w.server.Registry() + "/weelo-backend:v2", Build: build.Request{Platform: "linux/amd64"},
		Timeout: 10 * time.Minute, Backstop: true, By: "bench", RunID: "bench",
	}, clients, event.NewStream(nil), nil).Execute(ctx)
	if result.Outcome != event.RolledBack {
		return fmt.Errorf("the release ended as %s: %w", result.Outcome, errors.Join(result.Failure))
	}
	return nil
}

// noting is a client that notes when the rollback is called.
type noting struct {
	*ecs.Client
	called chan<- time.Time
}

func (n *noting) StopServiceDeployment(ctx context.Context, in *ecs.StopServiceDeploymentInput, o ...func(*ecs.Options)) (*ecs.StopServiceDeploymentOutput, error) {
	n.called <- time.Now()
	return n.Client.StopServiceDeployment(ctx, in, o...)
}
