package image

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

// fakeECR is a registry's control plane with a few repositories and images.
type fakeECR struct {
	repositories []types.Repository
	images       []types.ImageDetail
	token        string
	err          error // of every call
	listErr      error // of listing all repositories
	registry     *string
}

func (f *fakeECR) DescribeRepositories(_ context.Context, in *ecr.DescribeRepositoriesInput, _ ...func(*ecr.Options)) (*ecr.DescribeRepositoriesOutput, error) {
	f.registry = in.RegistryId
	if f.err != nil {
		return nil, f.err
	}
	if len(in.RepositoryNames) > 0 {
		for _, r := range f.repositories {
			if *r.RepositoryName == in.RepositoryNames[0] {
				return &ecr.DescribeRepositoriesOutput{Repositories: []types.Repository{r}}, nil
			}
		}
		return nil, &types.RepositoryNotFoundException{Message: aws.String("The repository does not exist")}
	}
	if f.listErr != nil {
		return nil, f.listErr
	}
	i := 0 // one on each page
	if in.NextToken != nil {
		fmt.Sscan(*in.NextToken, &i)
	}
	out := &ecr.DescribeRepositoriesOutput{Repositories: f.repositories[i : i+1]}
	if i+1 < len(f.repositories) {
		out.NextToken = aws.String(fmt.Sprint(i + 1))
	}
	return out, nil
}

func (f *fakeECR) GetAuthorizationToken(context.Context, *ecr.GetAuthorizationTokenInput, ...func(*ecr.Options)) (*ecr.GetAuthorizationTokenOutput, error) {
	if f.err != nil {
		return nil, f.err
	}
	return &ecr.GetAuthorizationTokenOutput{AuthorizationData: []types.AuthorizationData{{AuthorizationToken: aws.String(f.token)}}}, nil
}

func (f *fakeECR) DescribeImages(_ context.Context, in *ecr.DescribeImagesInput, _ ...func(*ecr.Options)) (*ecr.DescribeImagesOutput, error) {
	if f.err != nil {
		return nil, f.err
	}
	if *in.RepositoryName != "backend" {
		return nil, &types.RepositoryNotFoundException{}
	}
	id := in.ImageIds[0]
	for _, i := range f.images {
		if i.ImageStatus != types.ImageStatusActive && in.Filter == nil {
			continue
		}
		if id.ImageDigest != nil && *id.ImageDigest == *i.ImageDigest || id.ImageTag != nil && *id.ImageTag == i.ImageTags[0] {
			return &ecr.DescribeImagesOutput{ImageDetails: []types.ImageDetail{i}}, nil
		}
	}
	return nil, &types.ImageNotFoundException{}
}

const account = "123456789012"

func repository(name string) types.Repository {
	return types.Repository{
		RepositoryName: aws.String(name), RegistryId: aws.String(account), ImageTagMutability: types.ImageTagMutabilityImmutable,
		RepositoryUri: aws.String(account + ".dkr.ecr.ap-south-1.amazonaws.com/" + name),
	}
}

var denied = &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "User: x is not authorized"}

func TestFindRepository(t *testing.T) {
	api := &fakeECR{repositories: []types.Repository{repository("weelo/backend"), repository("other")}}
	for _, in := range []string{"weelo/backend", account + ".dkr.ecr.ap-south-1.amazonaws.com/weelo/backend"} {
		r, err := FindRepository(t.Context(), api, in)
		if err != nil || r.Name != "weelo/backend" || r.Host != account+".dkr.ecr.ap-south-1.amazonaws.com" || r.Account != account || !r.Immutable("v1") {
			t.Errorf("FindRepository(%s) = %+v, %v", in, r, err)
		}
	}
	if aws.ToString(api.registry) != account {
		t.Errorf("the registry that was asked is %s, want the URI's account", aws.ToString(api.registry))
	}
}

func TestFindRepository_Refuses(t *testing.T) {
	all := []types.Repository{repository("orders"), repository("weelo-frontend"), repository("weelo-backend")}
	for _, c := range []struct {
		name, in string
		api      *fakeECR
		code     event.Code
		says     string
		hint     string
	}{
		{"a name that is nearly one", "weelo-bakend", &fakeECR{repositories: all}, event.CodeNotFound, "no ECR repository weelo-bakend", "did you mean weelo-backend"},
		{"a name like none", "xyz", &fakeECR{repositories: all}, event.CodeNotFound, "xyz", "aws ecr create-repository --repository-name xyz"},
		{"names that we may not see", "weelo-bakend", &fakeECR{repositories: all, listErr: denied}, event.CodeNotFound, "weelo-bakend", "create-repository"},
		{"another account's address", "999999999999.dkr.ecr.eu-west-1.amazonaws.com/orders", &fakeECR{repositories: all}, event.CodeConfig, account, "image.repository: orders"},
		{"a tag", "orders:v1", &fakeECR{}, event.CodeConfig, "orders:v1", "image.tags"},
		{"nothing", "", &fakeECR{}, event.CodeConfig, `""`, ""},
		{"no permission", "orders", &fakeECR{err: denied}, event.CodeAccessDenied, "ecr:DescribeRepositories is not allowed", "allow ecr:DescribeRepositories"},
		{"old credentials", "orders", &fakeECR{err: &smithy.GenericAPIError{Code: "ExpiredTokenException"}}, event.CodeCredentials, "credentials", "aws sso login"},
		{"no answer", "orders", &fakeECR{err: errors.New("dial tcp: no such host")}, event.CodeInternal, "find ECR repository orders: dial tcp", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := FindRepository(t.Context(), c.api, c.in)
			f := event.FailuresOf(err)[0]
			if f.Code != c.code || !strings.Contains(f.Message, c.says) || !strings.Contains(strings.Join(append(f.Hints, f.Next...), "\n"), c.hint) {
				t.Errorf("FindRepository = %s %q with hints %q; want %s, %q, %q", f.Code, f.Message, f.Hints, c.code, c.says, c.hint)
			}
		})
	}
}

func TestRepository_Immutable(t *testing.T) {
	for _, c := range []struct {
		mutability string
		exclusions []string
		tag        string
		want       bool
	}{
		{"MUTABLE", nil, "v1", false},
		{"IMMUTABLE", nil, "v1", true},
		{"IMMUTABLE_WITH_EXCLUSION", []string{"latest", "dev-*"}, "v1", true},
		{"IMMUTABLE_WITH_EXCLUSION", []string{"latest", "dev-*"}, "dev-7", false},
		{"MUTABLE_WITH_EXCLUSION", []string{"v*"}, "v1", true},
		{"MUTABLE_WITH_EXCLUSION", []string{"v*"}, "latest", false},
		{"", nil, "v1", false},
	} {
		if got := (Repository{Mutability: c.mutability, Exclusions: c.exclusions}).Immutable(c.tag); got != c.want {
			t.Errorf("%s %v: Immutable(%s) = %v, want %v", c.mutability, c.exclusions, c.tag, got, c.want)
		}
	}
}

func TestLogin(t *testing.T) {
	a, err := Login(t.Context(), &fakeECR{token: base64.StdEncoding.EncodeToString([]byte("AWS:pass:word"))}, "host")
	if err != nil || a.Username != "AWS" || a.Password != "pass:word" || a.Server != "host" {
		t.Errorf("Login = %s, %v", a, err)
	}
	for _, token := range []string{"", "%%%", base64.StdEncoding.EncodeToString([]byte("secret-without-colon"))} {
		if _, err := Login(t.Context(), &fakeECR{token: token}, "host"); err == nil || token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("Login with the token %q = %v", token, err)
		}
	}
	_, err = Login(t.Context(), &fakeECR{err: denied}, "host")
	if f := event.FailuresOf(err)[0]; f.Code != event.CodeAccessDenied || !strings.Contains(f.Message, "ecr:GetAuthorizationToken") {
		t.Errorf("Login = %v, want ACCESS_DENIED", err)
	}
}

func TestTaggedAndPresence(t *testing.T) {
	api := &fakeECR{images: []types.ImageDetail{
		{ImageDigest: aws.String("sha256:1"), ImageTags: []string{"v1"}, ImageStatus: types.ImageStatusActive},
		{ImageDigest: aws.String("sha256:2"), ImageTags: []string{"v2"}, ImageStatus: types.ImageStatusArchived},
	}}
	r := Repository{Name: "backend", Account: account}
	if d, found, err := Tagged(t.Context(), api, r, "v1"); err != nil || !found || d != "sha256:1" {
		t.Errorf("Tagged(v1) = %s, %v, %v", d, found, err)
	}
	if d, found, err := Tagged(t.Context(), api, r, "v9"); err != nil || found {
		t.Errorf("Tagged(v9) = %s, %v, %v; want nothing", d, found, err)
	}
	if _, _, err := Tagged(t.Context(), &fakeECR{err: denied}, r, "v1"); event.FailuresOf(err)[0].Code != event.CodeAccessDenied {
		t.Errorf("Tagged without permission = %v", err)
	}
	for _, c := range []struct {
		name, ref string
		api       *fakeECR
		r         Repository
		want      State
		reason    string
	}{
		{"by digest", "sha256:1", api, r, Present, ""},
		{"by tag", "v1", api, r, Present, ""},
		{"archived", "sha256:2", api, r, Archived, "ARCHIVED"},
		{"gone", "sha256:3", api, r, Gone, "sha256:3 is not in ECR repository backend"},
		{"its repository is gone", "sha256:1", api, Repository{Name: "other"}, Gone, "repository other does not exist"},
		{"no permission", "sha256:1", &fakeECR{err: denied}, r, Unknown, "ecr:DescribeImages is not allowed"},
		{"no answer", "sha256:1", &fakeECR{err: errors.New("timeout")}, r, Unknown, "timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, reason := Presence(t.Context(), c.api, c.r, c.ref); got != c.want || !strings.Contains(reason, c.reason) || (reason == "") != (got == Present) {
				t.Errorf("Presence = %s, %q; want %s, %q", got, reason, c.want, c.reason)
			}
		})
	}
}
