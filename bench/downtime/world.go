package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

const (
	region  = "us-east-1"
	cluster = "bench"
	port    = 8080 // of the application
)

// site is a sandbox with the clients to fill it.
type site struct {
	binary, name string
	env          []string
	app, bad     []byte // programs
	registry     string
	user, secret string
	ecs          *ecs.Client
	elb          *elb.Client
	logs         *cloudwatchlogs.Client
	ecr          *ecr.Client
}

// start builds the tool and the application and starts a sandbox in the background.
func start(ctx context.Context, dir string, speed float64) (*site, error) {
	s := &site{binary: filepath.Join(dir, "weelo-deploy"), name: fmt.Sprint("downtime-", os.Getpid())}
	for out, pkg := range map[string]string{s.binary: "./cmd/weelo-deploy", filepath.Join(dir, "app"): "./bench/downtime/app"} {
		c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, pkg)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	var err error
	if s.app, err = os.ReadFile(filepath.Join(dir, "app")); err != nil {
		return nil, err
	}
	s.bad = tinyelf.Segfault(diesAfter, tinyelf.Output{Stdout: "starting\n"})
	out, err := s.run(ctx, dir, "sandbox", "up", "--name", s.name, "--listen", "127.0.0.1:0", "--region", region, "--speed", fmt.Sprint(speed))
	if err != nil {
		return nil, err
	}
	return s, errors.Join(s.connect(out), s.login(ctx))
}

// connect reads the environment that the sandbox printed.
func (s *site) connect(printed []byte) error {
	url := ""
	for lines := bufio.NewScanner(bytes.NewReader(printed)); lines.Scan(); {
		assignment, ok := strings.CutPrefix(lines.Text(), "export ")
		if !ok {
			continue
		}
		name, value, _ := strings.Cut(assignment, "=")
		value = strings.Trim(value, `'"`)
		s.env = append(s.env, name+"="+value)
		if name == "AWS_ENDPOINT_URL" {
			url = value
		}
	}
	if url == "" {
		return fmt.Errorf("sandbox up printed no address: %s", printed)
	}
	cfg := aws.Config{Region: region, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("bench", "bench", "")}
	s.ecs, s.elb, s.logs, s.ecr = ecs.NewFromConfig(cfg), elb.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg), ecr.NewFromConfig(cfg)
	s.registry = strings.TrimPrefix(url, "http://")
	return nil
}

// login gets the registry's credentials and makes what all services share.
func (s *site) login(ctx context.Context) error {
	if s.ecr == nil {
		return nil // connect has failed
	}
	token, err := s.ecr.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return err
	}
	text, err := base64.StdEncoding.DecodeString(*token.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		return err
	}
	s.user, s.secret, _ = strings.Cut(string(text), ":")
	_, err = s.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(cluster)})
	return err
}

// end takes the sandbox down with everything in it.
func (s *site) end() {
	if _, err := s.run(context.Background(), "", "sandbox", "down", "--name", s.name); err != nil {
		fmt.Fprintln(os.Stderr, "bench/downtime:", err)
	}
}

// run runs the tool with the sandbox's environment.
func (s *site) run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, s.binary, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), s.env...)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return out, fmt.Errorf("weelo-deploy %s: %w\n%s%s", strings.Join(args, " "), err, out, said.Bytes())
	}
	return out, nil
}

// balance makes a target group and a load balancer before it, and returns the
// group's ARN and the address.
func (s *site) balance(ctx context.Context, name, delay string) (group, address string, err error) {
	made, err := s.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: &name, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(port), TargetType: elbtypes.TargetTypeEnumIp, VpcId: aws.String("vpc-1"),
		HealthCheckIntervalSeconds: aws.Int32(20), HealthCheckTimeoutSeconds: aws.Int32(10),
		HealthyThresholdCount: aws.Int32(2), UnhealthyThresholdCount: aws.Int32(10), // this machine may be busy
	})
	if err != nil {
		return "", "", err
	}
	group = *made.TargetGroups[0].TargetGroupArn
	if _, err := s.elb.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &group,
		Attributes: []elbtypes.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: &delay}}}); err != nil {
		return "", "", err
	}
	lb, err := s.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: &name, Subnets: []string{"subnet-1", "subnet-2"}})
	if err != nil {
		return "", "", err
	}
	free, err := freePort()
	if err != nil {
		return "", "", err
	}
	listener, err := s.elb.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: &free, Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &group}},
	})
	if err != nil {
		return "", "", err
	}
	return group, fmt.Sprint("127.0.0.1:", *listener.Listeners[0].Port), nil
}

// freePort is one that nobody listens on now.
func freePort() (int32, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return int32(l.Addr().(*net.TCPAddr).Port), l.Close()
}

// serve makes the service of an application and waits until it is stable.
func (s *site) serve(ctx context.Context, name, image, drain, group string) error {
	logGroup := "/ecs/" + name
	if _, err := s.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &logGroup}); err != nil {
		return err
	}
	_, err := s.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: &name, NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ExecutionRoleArn:        aws.String("arn:aws:iam::000000000000:role/r"),
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("app"), Image: &image, PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(port)}},
			Environment: []types.KeyValuePair{{Name: aws.String("DRAIN"), Value: &drain}},
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": logGroup, "awslogs-region": region, "awslogs-stream-prefix": "ecs",
			}},
		}},
	})
	if err != nil {
		return err
	}
	_, err = s.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(cluster), ServiceName: &name, TaskDefinition: &name, DesiredCount: aws.Int32(2), LaunchType: types.LaunchTypeFargate,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
		LoadBalancers:        []types.LoadBalancer{{TargetGroupArn: &group, ContainerName: aws.String("app"), ContainerPort: aws.Int32(port)}},
	})
	if err != nil {
		return err
	}
	return s.stable(ctx, name)
}
