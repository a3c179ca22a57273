package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/scaffold"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// facts are read from the folder and from the account.
func (s *session) facts(ctx context.Context, f *initFlags, ask *asker) (scaffold.Facts, error) {
	var facts scaffold.Facts
	var err error
	if facts.Beside, err = beside(f, ask); err != nil {
		return facts, err
	}
	if facts.Branch, facts.Git, err = gitFacts(ctx); err != nil {
		return facts, err
	}
	flags := s.app.flags
	clients, region, err := openClients(ctx, place{Region: flags.region})
	if err != nil {
		return facts, orRehearse(err)
	}
	facts.Region, facts.Role, facts.Version = region, f.role, version
	if facts.Account, _, err = clients.WhoAmI(ctx); err != nil {
		return facts, orRehearse(release.FromAWS(err, "ask AWS who the caller is", "sts:GetCallerIdentity"))
	}
	if facts.Cluster, err = named(ctx, ask, "cluster", "--cluster", flags.cluster, clusters(clients.ECS)); err != nil {
		return facts, err
	}
	if facts.Service, err = named(ctx, ask, "service", "--service", flags.service, services(clients.ECS, facts.Cluster)); err != nil {
		return facts, err
	}
	def, err := definitionOf(ctx, clients, facts.Cluster, facts.Service)
	if err != nil {
		return facts, err
	}
	err = s.imageFacts(ctx, f, ask, clients, def, &facts)
	return facts, err
}

// orRehearse adds to the error of who is not signed in that there is another way to
// see the tool at work.
func orRehearse(err error) error {
	var f *event.Failure
	if errors.As(err, &f) && (f.Code == event.CodeUsage || f.Code == event.CodeCredentials) {
		f.Hint(withoutAWS)
	}
	return err
}

// imageFacts are what the task definition tells: container, repository, platform.
func (s *session) imageFacts(ctx context.Context, f *initFlags, ask *asker, c release.Clients, def *taskdef.Definition, facts *scaffold.Facts) error {
	facts.Container = f.container
	released, err := def.Released(f.container)
	if err != nil && f.container == "" {
		var names []string
		for _, k := range def.Containers() {
			names = append(names, k.Name)
		}
		if facts.Container, err = ask.choose("container", "--container", names, false); err == nil {
			released, err = def.Released(facts.Container)
		}
	}
	if err != nil {
		return err
	}
	if os, arch, set := def.Platform(); set && arch != "amd64" {
		facts.Platform = os + "/" + arch
	}
	facts.Repository, err = s.repository(ctx, f.repository, ask, c, released.Image, facts.Account)
	return err
}

// repository is the one that the service's image lies in, or one of the account's
// where that is not ECR's.
func (s *session) repository(ctx context.Context, flag string, ask *asker, c release.Clients, ref, account string) (string, error) {
	if flag != "" {
		_, err := image.FindRepository(ctx, c.ECR, flag)
		return flag, err
	}
	if parsed, err := image.ParseReference(ref); err == nil {
		if found, err := image.FindRepository(ctx, c.ECR, parsed.Repository()); err == nil {
			if found.Account == account {
				return found.Name, nil
			}
			return found.URI, nil
		}
	}
	return named(ctx, ask, "repository", "--repository", "", repositories(c.ECR))
}

// lister lists names of AWS.
type lister func(context.Context) ([]string, error)

// named is a name that was given, or one that is chosen from a list.
func named(ctx context.Context, ask *asker, what, flag, given string, list lister) (string, error) {
	if given != "" {
		return history.Short(given), nil
	}
	names, err := list(ctx)
	if err != nil {
		return "", err
	}
	slices.SortFunc(names, strings.Compare)
	return ask.choose(what, flag, names, false)
}

func clusters(api release.ECS) lister {
	return func(ctx context.Context) ([]string, error) {
		var names []string
		for pages := ecs.NewListClustersPaginator(api, &ecs.ListClustersInput{}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, release.FromAWS(err, "list the clusters", "ecs:ListClusters")
			}
			names = append(names, shorts(page.ClusterArns)...)
		}
		return names, nil
	}
}

func services(api release.ECS, cluster string) lister {
	return func(ctx context.Context) ([]string, error) {
		var names []string
		for pages := ecs.NewListServicesPaginator(api, &ecs.ListServicesInput{Cluster: &cluster, MaxResults: aws.Int32(100)}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if errors.As(err, new(*types.ClusterNotFoundException)) { // Read names the clusters that there are
				_, err = release.Site{ECS: api, Cluster: cluster}.Read(ctx)
			}
			if err != nil {
				return nil, release.FromAWS(err, "list the services of cluster "+cluster, "ecs:ListServices")
			}
			names = append(names, shorts(page.ServiceArns)...)
		}
		return names, nil
	}
}

func repositories(api image.ECRAPI) lister {
	return func(ctx context.Context) ([]string, error) {
		var names []string
		for pages := ecr.NewDescribeRepositoriesPaginator(api, &ecr.DescribeRepositoriesInput{}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, release.FromAWS(err, "list the image repositories", "ecr:DescribeRepositories")
			}
			for _, r := range page.Repositories {
				names = append(names, aws.ToString(r.RepositoryName))
			}
		}
		return names, nil
	}
}

func shorts(arns []string) []string {
	var names []string
	for _, a := range arns {
		names = append(names, history.Short(a))
	}
	return names
}

// definitionOf is the task definition that a service is set to.
func definitionOf(ctx context.Context, c release.Clients, cluster, service string) (*taskdef.Definition, error) {
	svc, err := release.Site{ECS: c.ECS, Cluster: cluster, Service: service}.Read(ctx)
	if err != nil {
		return nil, err
	}
	def, err := taskdef.Client{API: c.ECS}.Describe(ctx, aws.ToString(svc.TaskDefinition))
	if err != nil {
		return nil, fmt.Errorf("describe the task definition of service %s: %w", service, err)
	}
	return def, nil
}
