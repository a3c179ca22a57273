package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/codebuild"
	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/release"
)

// apiTimeout bounds one attempt of one AWS API call.
const apiTimeout = 30 * time.Second

// place says which AWS a command talks to.
type place struct {
	Region string
	// Endpoint and Account are set for a rehearsal: nothing of the user's own AWS
	// configuration is read then.
	Endpoint string
	On       string           // build.on
	Verify   codebuild.Verify // for a build elsewhere
}

// openClients makes the clients of a release, and says which region they speak to.
// AWS is configured here and nothing is sent; the Docker engine is opened when it
// is first asked for.
func openClients(ctx context.Context, p place) (release.Clients, string, error) {
	cfg, calls, err := awsConfig(ctx, p)
	if err != nil {
		return release.Clients{}, "", err
	}
	who := sts.NewFromConfig(cfg)
	open := sync.OnceValues(func() (*engine.Engine, error) { return openEngine(p.On) })
	return release.Clients{
		ECS: ecs.NewFromConfig(cfg),
		ECR: ecr.NewFromConfig(cfg),
		Log: cloudwatchlogs.NewFromConfig(cfg),
		IAM: iam.NewFromConfig(cfg),
		WhoAmI: func(ctx context.Context) (string, string, error) {
			if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
				return "", "", noCredentials(err)
			}
			id, err := who.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			if err != nil {
				return "", "", err
			}
			return aws.ToString(id.Account), aws.ToString(id.Arn), nil
		},
		OpenEngine: func() (release.Engine, release.Builder, error) {
			e, err := open()
			if err != nil {
				return nil, nil, err
			}
			return e, build.New(e), nil
		},
		Elsewhere:    elsewhere(cfg, p),
		OpenRegistry: func(a engine.Auth) release.Registry { return image.NewRemote(a, nil) },
		Calls:        func() int { return int(calls.Load()) },
	}, cfg.Region, nil
}

// openEngine connects to the Docker engine that build.on names. No engine is a
// refusal with the ways to get one.
//
// CodeBuild is no engine: whoever asks for one beside it means that of this machine.
func openEngine(on string) (*engine.Engine, error) {
	if _, ok := codeBuildProject(on); ok {
		on = ""
	}
	e, err := engine.Open(engine.Options{On: on})
	if err != nil {
		return nil, build.Unavailable(err)
	}
	return e, nil
}

// awsConfig loads the user's AWS configuration the way the aws command does, and
// counts the requests that are sent.
func awsConfig(ctx context.Context, p place) (aws.Config, *atomic.Int64, error) {
	calls := new(atomic.Int64)
	client := awshttp.NewBuildableClient().WithTimeout(apiTimeout)
	count := func(s *middleware.Stack) error { return s.Deserialize.Add(counter{calls}, middleware.Before) }
	if p.Endpoint != "" {
		return aws.Config{
			Region: p.Region, BaseEndpoint: &p.Endpoint, HTTPClient: plainBody{client}, Logger: logging.Nop{}, APIOptions: []func(*middleware.Stack) error{count},
			Credentials: credentials.NewStaticCredentialsProvider("sandbox", "sandbox", ""),
		}, calls, nil
	}
	opts := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithHTTPClient(client),
		awsconfig.WithLogger(logging.Nop{}), // it would write into our output
		awsconfig.WithAPIOptions([]func(*middleware.Stack) error{count}),
	}
	if p.Region != "" {
		opts = append(opts, awsconfig.WithRegion(p.Region))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return cfg, calls, event.Fail(event.CodeCredentials, "the AWS configuration cannot be read").Because(err).
			Hint("check AWS_PROFILE, ~/.aws/config and ~/.aws/credentials")
	}
	// Not earlier: AWS_CA_BUNDLE wants to add to the SDK's own kind of client.
	cfg.HTTPClient = plainBody{cfg.HTTPClient}
	if cfg.Region == "" {
		return cfg, calls, event.Fail(event.CodeUsage, "no AWS region is set").
			Hint("set region in weelo-deploy.yaml, --region, AWS_REGION, or region in your AWS profile")
	}
	return cfg, calls, nil
}

// plainBody sends request bodies without their WriteTo. After the head of an
// answer has come, smithy-go closes the request's body, whose WriteTo then reports
// the end too early, and net/http cuts the connection in the middle of a large
// answer (seen with smithy-go v1.28.8). A call that must not be repeated would lose
// its answer.
type plainBody struct{ aws.HTTPClient }

func (c plainBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.HTTPClient.Do(r)
}

// counter counts requests as they are sent, retries included.
type counter struct{ n *atomic.Int64 }

func (counter) ID() string { return "weelo-deploy/count" }

func (c counter) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	c.n.Add(1)
	return next.HandleDeserialize(ctx, in)
}

func noCredentials(err error) error {
	return event.Fail(event.CodeCredentials, "there are no AWS credentials").Because(err).
		Hint("sign in (aws sso login), set AWS_PROFILE, or give the CI job a role (OIDC)").
		Try("aws sts get-caller-identity")
}
