package image

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/nearest"
)

// ECRAPI is the part of ECR's API that is used here; *ecr.Client has it.
type ECRAPI interface {
	DescribeRepositories(context.Context, *ecr.DescribeRepositoriesInput, ...func(*ecr.Options)) (*ecr.DescribeRepositoriesOutput, error)
	GetAuthorizationToken(context.Context, *ecr.GetAuthorizationTokenInput, ...func(*ecr.Options)) (*ecr.GetAuthorizationTokenOutput, error)
	DescribeImages(context.Context, *ecr.DescribeImagesInput, ...func(*ecr.Options)) (*ecr.DescribeImagesOutput, error)
}

var _ ECRAPI = (*ecr.Client)(nil)

// Repository is an ECR repository.
type Repository struct {
	Name       string
	URI        string // "host/name", without a tag
	Host       string
	Account    string   // of the registry
	Mutability string   // MUTABLE, IMMUTABLE, …_WITH_EXCLUSION
	Exclusions []string // patterns of tags to which the opposite applies
}

// Immutable reports whether the repository refuses to move that tag.
func (r Repository) Immutable(tag string) bool {
	excluded := slices.ContainsFunc(r.Exclusions, func(pattern string) bool {
		ok, err := path.Match(pattern, tag) // ECR's patterns know * only; tags have no slash
		return err == nil && ok
	})
	switch types.ImageTagMutability(r.Mutability) {
	case types.ImageTagMutabilityImmutable:
		return true
	case types.ImageTagMutabilityImmutableWithExclusion:
		return !excluded
	case types.ImageTagMutabilityMutableWithExclusion:
		return excluded
	}
	return false
}

// FindRepository finds a repository by its name, or by its URI, which has to be
// the one that ECR gives it.
func FindRepository(ctx context.Context, api ECRAPI, nameOrURI string) (Repository, error) {
	name, host, err := splitRepository(nameOrURI)
	if err != nil {
		return Repository{}, err
	}
	in := &ecr.DescribeRepositoriesInput{RepositoryNames: []string{name}}
	if account, _, ok := strings.Cut(host, ".dkr.ecr."); ok {
		in.RegistryId = aws.String(account)
	}
	out, err := api.DescribeRepositories(ctx, in)
	var missing *types.RepositoryNotFoundException
	if errors.As(err, &missing) || err == nil && len(out.Repositories) == 0 {
		return Repository{}, noRepository(ctx, api, in.RegistryId, name)
	}
	if err != nil {
		return Repository{}, awsFailure("find ECR repository "+name, "ecr:DescribeRepositories", err)
	}
	r := repositoryOf(out.Repositories[0])
	if host != "" && host != r.Host {
		return Repository{}, event.Fail(event.CodeConfig, fmt.Sprintf("image repository %s is not this account's: here %s is %s", nameOrURI, name, r.URI)).
			Hint("the name alone is enough: image.repository: "+name, "or use the credentials and region of the other registry: --region, AWS_PROFILE")
	}
	return r, nil
}

// splitRepository takes host and name apart: what has a dot, a colon or is
// "localhost" before the first slash is a host, as in Docker's references.
func splitRepository(s string) (name, host string, err error) {
	name = s
	if h, rest, ok := strings.Cut(s, "/"); ok && (strings.ContainsAny(h, ".:") || h == "localhost") {
		host, name = h, rest
	}
	if name == "" || strings.ContainsAny(name, ":@") {
		return "", "", event.Fail(event.CodeConfig, fmt.Sprintf("image repository %q is not a repository's name", s)).
			Hint("it has no tag and no digest; tags go to image.tags")
	}
	return name, host, nil
}

func repositoryOf(in types.Repository) Repository {
	r := Repository{
		Name: aws.ToString(in.RepositoryName), URI: aws.ToString(in.RepositoryUri), Account: aws.ToString(in.RegistryId),
		Mutability: string(in.ImageTagMutability),
	}
	r.Host, _, _ = strings.Cut(r.URI, "/")
	for _, f := range in.ImageTagMutabilityExclusionFilters {
		r.Exclusions = append(r.Exclusions, aws.ToString(f.Filter))
	}
	return r
}

// noRepository names the repositories that may have been meant, if we may see
// them.
func noRepository(ctx context.Context, api ECRAPI, registry *string, name string) error {
	f := event.Fail(event.CodeNotFound, "there is no ECR repository "+name)
	var names []string
	pages := ecr.NewDescribeRepositoriesPaginator(api, &ecr.DescribeRepositoriesInput{RegistryId: registry, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			break // the names are a courtesy
		}
		for _, r := range page.Repositories {
			names = append(names, aws.ToString(r.RepositoryName))
		}
	}
	if near := nearest.Names(name, names, 3); len(near) > 0 {
		f.Hint("did you mean " + strings.Join(near, ", ") + "?")
	}
	return f.Hint("create it, or correct image.repository").Try("aws ecr create-repository --repository-name " + name)
}

// Login gets credentials for the account's registry, good for 12 hours.
func Login(ctx context.Context, api ECRAPI, registryHost string) (engine.Auth, error) {
	out, err := api.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return engine.Auth{}, awsFailure("log in to ECR registry "+registryHost, "ecr:GetAuthorizationToken", err)
	}
	if len(out.AuthorizationData) == 0 {
		return engine.Auth{}, fmt.Errorf("log in to ECR registry %s: ECR gave no token", registryHost)
	}
	b, err := base64.StdEncoding.DecodeString(aws.ToString(out.AuthorizationData[0].AuthorizationToken))
	user, password, ok := strings.Cut(string(b), ":")
	if err != nil || !ok || user == "" || password == "" { // the cause could quote the token
		return engine.Auth{}, fmt.Errorf("log in to ECR registry %s: ECR's token has an unknown form", registryHost)
	}
	return engine.Auth{Username: user, Password: password, Server: registryHost}, nil
}

// Tagged finds the digest that a tag names. No such tag is no error.
func Tagged(ctx context.Context, api ECRAPI, r Repository, tag string) (digest string, found bool, err error) {
	out, err := api.DescribeImages(ctx, &ecr.DescribeImagesInput{
		RepositoryName: aws.String(r.Name), RegistryId: optional(r.Account), ImageIds: []types.ImageIdentifier{{ImageTag: aws.String(tag)}},
	})
	var missing *types.ImageNotFoundException
	if errors.As(err, &missing) || err == nil && len(out.ImageDetails) == 0 {
		return "", false, nil
	}
	if err != nil {
		return "", false, awsFailure("look up tag "+tag+" of ECR repository "+r.Name, "ecr:DescribeImages", err)
	}
	return aws.ToString(out.ImageDetails[0].ImageDigest), true, nil
}

// State is whether a registry can give an image to a task.
type State string

// The states of an image. Unknown is an image that could not be looked up; it
// excludes nothing.
const (
	Present  State = "present"
	Gone     State = "gone"
	Archived State = "archived" // cannot be pulled until it is activated again
	Unknown  State = "unknown"
)

// Presence looks an image up by digest or tag, and says why it is not present.
// It has no error: what cannot be told is Unknown.
func Presence(ctx context.Context, api ECRAPI, r Repository, digestOrTag string) (State, string) {
	id := types.ImageIdentifier{ImageTag: aws.String(digestOrTag)}
	if strings.Contains(digestOrTag, ":") {
		id = types.ImageIdentifier{ImageDigest: aws.String(digestOrTag)}
	}
	out, err := api.DescribeImages(ctx, &ecr.DescribeImagesInput{
		RepositoryName: aws.String(r.Name), RegistryId: optional(r.Account), ImageIds: []types.ImageIdentifier{id},
		Filter: &types.DescribeImagesFilter{ImageStatus: types.ImageStatusFilterAny}, // without it archived images are left out
	})
	var noImage *types.ImageNotFoundException
	var noRepository *types.RepositoryNotFoundException
	switch {
	case errors.As(err, &noImage), err == nil && len(out.ImageDetails) == 0:
		return Gone, fmt.Sprintf("%s is not in ECR repository %s any more", digestOrTag, r.Name)
	case errors.As(err, &noRepository):
		return Gone, "ECR repository " + r.Name + " does not exist any more"
	case err != nil:
		return Unknown, awsFailure("look up "+digestOrTag+" in ECR repository "+r.Name, "ecr:DescribeImages", err).Error()
	}
	if s := out.ImageDetails[0].ImageStatus; s != "" && s != types.ImageStatusActive {
		return Archived, fmt.Sprintf("%s in ECR repository %s is %s", digestOrTag, r.Name, s)
	}
	return Present, ""
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// awsFailure is a refusal by ECR, with the permission that the call takes.
func awsFailure(op, permission string, err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%s: %w", op, err)
	}
	switch api.ErrorCode() {
	case "AccessDeniedException", "AccessDenied":
		return event.Fail(event.CodeAccessDenied, op+": "+permission+" is not allowed").Because(err).
			Hint("allow " + permission + " to the role or user that releases")
	case "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId":
		return event.Fail(event.CodeCredentials, op+": AWS does not accept the credentials").Because(err).
			Hint("log in again: aws sso login, or check AWS_PROFILE and AWS_ACCESS_KEY_ID")
	}
	return fmt.Errorf("%s: %w", op, err)
}
