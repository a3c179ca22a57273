package secrets_test

import (
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/secrets"
)

const account, region = "000000000000", "us-east-1"

// world is a store behind AWS's own clients.
type world struct {
	*secrets.Store
	ssm *ssm.Client
	sm  *secretsmanager.Client
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 25, 1, 0, 0, 0, time.UTC)}
	w.Store = secrets.New(account, region, func() time.Time { return w.now })
	mux := &awsjson.Mux{}
	mux.Add("ssm", w.SSM())
	mux.Add("secretsmanager", w.SecretsManager())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c := aws.Config{Region: region, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""), RetryMaxAttempts: 1}
	w.ssm, w.sm = ssm.NewFromConfig(c), secretsmanager.NewFromConfig(c)
	return w
}

func (w *world) put(t *testing.T, name, value string, kind types.ParameterType) int64 {
	t.Helper()
	out, err := w.ssm.PutParameter(t.Context(), &ssm.PutParameterInput{Name: &name, Value: &value, Type: kind, Overwrite: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Version
}

func TestSSM_ParameterHasVersionsAndAnARN(t *testing.T) {
	w := newWorld(t)
	w.put(t, "/orders/db", "one", types.ParameterTypeString)
	if v := w.put(t, "/orders/db", "two", ""); v != 2 {
		t.Errorf("second PutParameter = version %d, want 2", v)
	}
	const arn = "arn:aws:ssm:us-east-1:000000000000:parameter/orders/db"
	for ref, want := range map[string]string{"/orders/db": "two", "/orders/db:1": "one", arn: "two", arn + ":1": "one"} {
		out, err := w.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &ref})
		if err != nil || *out.Parameter.Value != want || *out.Parameter.ARN != arn || *out.Parameter.Name != "/orders/db" || out.Parameter.LastModifiedDate == nil {
			t.Errorf("GetParameter(%s) = %v, %v; want %q", ref, out, err, want)
		}
	}
	var missing *types.ParameterVersionNotFound
	if _, err := w.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/orders/db:3")}); !errors.As(err, &missing) {
		t.Errorf("version 3: %v, want ParameterVersionNotFound", err)
	}
}

func TestSSM_SecureStringIsCiphertextWithoutDecryption(t *testing.T) {
	w := newWorld(t)
	w.put(t, "token", "open sesame", types.ParameterTypeSecureString)
	for _, decrypt := range []bool{false, true} {
		out, err := w.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("token"), WithDecryption: &decrypt})
		if err != nil || (*out.Parameter.Value == "open sesame") != decrypt {
			t.Errorf("GetParameter with decryption %v = %v, %v", decrypt, out, err)
		}
	}
}

func TestSSM_RefusesAsAWSDoes(t *testing.T) {
	w := newWorld(t)
	w.put(t, "there", "x", types.ParameterTypeString)
	for want, in := range map[string]ssm.PutParameterInput{
		"ParameterAlreadyExists":                    {Name: aws.String("there"), Value: aws.String("y"), Type: types.ParameterTypeString},
		"AccessDeniedException":                     {Name: aws.String("/aws/x"), Value: aws.String("y"), Type: types.ParameterTypeString},
		"must be a fully qualified name":            {Name: aws.String("a/b"), Value: aws.String("y"), Type: types.ParameterTypeString},
		"A parameter type is required":              {Name: aws.String("new"), Value: aws.String("y")},
		"maximum parameter value of 4096":           {Name: aws.String("big"), Value: aws.String(strings.Repeat("y", 4097)), Type: types.ParameterTypeString},
		"Parameter name: can't be prefixed with \"": {Name: aws.String("a b"), Value: aws.String("y"), Type: types.ParameterTypeString},
	} {
		if _, err := w.ssm.PutParameter(t.Context(), &in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("PutParameter(%s) = %v, want %q", *in.Name, err, want)
		}
	}
	var missing *types.ParameterNotFound
	if _, err := w.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("nope")}); !errors.As(err, &missing) {
		t.Errorf("GetParameter of none: %v, want ParameterNotFound", err)
	}
	if _, err := w.ssm.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String("nope")}); !errors.As(err, &missing) {
		t.Errorf("DeleteParameter of none: %v, want ParameterNotFound", err)
	}
}

func TestSSM_ListsByPathAndByNames(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"/a/1", "/a/2", "/a/3", "/a/deep/4", "/b/5"} {
		w.put(t, name, name, types.ParameterTypeString)
	}
	for recursive, want := range map[bool][]string{false: {"/a/1", "/a/2", "/a/3"}, true: {"/a/1", "/a/2", "/a/3", "/a/deep/4"}} {
		var got []string
		pages := ssm.NewGetParametersByPathPaginator(w.ssm, &ssm.GetParametersByPathInput{Path: aws.String("/a"), Recursive: &recursive, MaxResults: aws.Int32(2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Parameters {
				got = append(got, *p.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("by path, recursive %v: %q, want %q", recursive, got, want)
		}
	}
	out, err := w.ssm.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/a/1", "/nope"}})
	if err != nil || len(out.Parameters) != 1 || !slices.Equal(out.InvalidParameters, []string{"/nope"}) {
		t.Errorf("GetParameters = %v, %v", out, err)
	}
	gone, err := w.ssm.DeleteParameters(t.Context(), &ssm.DeleteParametersInput{Names: []string{"/a/1", "/nope"}})
	if err != nil || !slices.Equal(gone.DeletedParameters, []string{"/a/1"}) || !slices.Equal(gone.InvalidParameters, []string{"/nope"}) {
		t.Errorf("DeleteParameters = %v, %v", gone, err)
	}
}

func TestSecretsManager_StagesMoveWithEachValue(t *testing.T) {
	w := newWorld(t)
	made, err := w.sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("prod/db"), SecretString: aws.String("one"), Description: aws.String("the database")})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(*made.ARN, "arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/db-") || len(*made.ARN) != len("arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/db-AbCdEf") {
		t.Errorf("ARN = %s", *made.ARN)
	}
	for _, value := range []string{"two", "three"} {
		if _, err := w.sm.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretString: &value}); err != nil {
			t.Fatal(err)
		}
	}
	for stage, want := range map[string]string{"": "three", "AWSCURRENT": "three", "AWSPREVIOUS": "two"} {
		in := &secretsmanager.GetSecretValueInput{SecretId: aws.String("prod/db")}
		if stage != "" {
			in.VersionStage = &stage
		}
		out, err := w.sm.GetSecretValue(t.Context(), in)
		if err != nil || *out.SecretString != want || out.CreatedDate == nil {
			t.Errorf("stage %q = %v, %v; want %q", stage, out, err, want)
		}
	}
	out, err := w.sm.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: made.ARN, VersionId: made.VersionId})
	if err != nil || *out.SecretString != "one" || len(out.VersionStages) != 0 {
		t.Errorf("first version = %v, %v", out, err)
	}
	d, err := w.sm.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: made.ARN})
	if err != nil || *d.Description != "the database" || len(d.VersionIdsToStages) != 2 {
		t.Errorf("DescribeSecret = %+v, %v", d, err)
	}
}

func TestSecretsManager_RepeatedCallWithItsTokenIsTheSameCall(t *testing.T) {
	w := newWorld(t)
	in := &secretsmanager.CreateSecretInput{Name: aws.String("s"), SecretString: aws.String("v"), ClientRequestToken: aws.String("0123456789abcdef0123456789abcdef")}
	first, err := w.sm.CreateSecret(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.sm.CreateSecret(t.Context(), in)
	if err != nil || *again.ARN != *first.ARN || *again.VersionId != *first.VersionId {
		t.Errorf("again = %v, %v", again, err)
	}
	in.SecretString = aws.String("other")
	var exists *smtypes.ResourceExistsException
	if _, err := w.sm.CreateSecret(t.Context(), in); !errors.As(err, &exists) {
		t.Errorf("with another value: %v, want ResourceExistsException", err)
	}
}

func TestSecretsManager_DeletedSecretIsGoneAfterItsWindow(t *testing.T) {
	w := newWorld(t)
	if _, err := w.CreateSecret("s", "v"); err != nil {
		t.Fatal(err)
	}
	out, err := w.sm.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String("s"), RecoveryWindowInDays: aws.Int64(7)})
	if err != nil || !out.DeletionDate.Equal(w.now.AddDate(0, 0, 7)) {
		t.Fatalf("DeleteSecret = %v, %v", out, err)
	}
	var invalid *smtypes.InvalidRequestException
	if _, err := w.sm.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")}); !errors.As(err, &invalid) {
		t.Errorf("value of a deleted secret: %v, want InvalidRequestException", err)
	}
	if _, err := w.CreateSecret("s", "new"); err == nil {
		t.Error("a secret was made under the name of one that waits for its deletion")
	}
	w.now = w.now.AddDate(0, 0, 8)
	if _, err := w.CreateSecret("s", "new"); err != nil {
		t.Errorf("after the window: %v", err)
	}
	if _, err := w.sm.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String("s"), ForceDeleteWithoutRecovery: aws.Bool(true)}); err != nil {
		t.Error(err)
	}
	var missing *smtypes.ResourceNotFoundException
	if _, err := w.sm.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("s")}); !errors.As(err, &missing) {
		t.Errorf("after a forced deletion: %v, want ResourceNotFoundException", err)
	}
}

func TestSecretsManager_ListsByNameAndUpdates(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"prod/a", "prod/b", "test/c"} {
		if _, err := w.CreateSecret(name, name); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	pages := secretsmanager.NewListSecretsPaginator(w.sm, &secretsmanager.ListSecretsInput{
		MaxResults: aws.Int32(1), Filters: []smtypes.Filter{{Key: smtypes.FilterNameStringTypeName, Values: []string{"prod/"}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.SecretList {
			got = append(got, *s.Name)
		}
	}
	if want := []string{"prod/a", "prod/b"}; !slices.Equal(got, want) {
		t.Errorf("ListSecrets = %q, want %q", got, want)
	}
	if _, err := w.sm.UpdateSecret(t.Context(), &secretsmanager.UpdateSecretInput{SecretId: aws.String("prod/a"), SecretBinary: []byte{1, 2, 3}}); err != nil {
		t.Fatal(err)
	}
	out, err := w.sm.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("prod/a")})
	if err != nil || !slices.Equal(out.SecretBinary, []byte{1, 2, 3}) || out.SecretString != nil {
		t.Errorf("updated = %v, %v", out, err)
	}
}

func TestValue_OfWhatTaskDefinitionsName(t *testing.T) {
	w := newWorld(t)
	w.put(t, "/orders/db", "postgres://", types.ParameterTypeSecureString)
	w.put(t, "plain", "p", types.ParameterTypeString)
	arn, err := w.CreateSecret("orders", `{"user":"ada","port":5432}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.sm.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: aws.String(`{"user":"bob"}`)}); err != nil {
		t.Fatal(err)
	}
	short := arn[:len(arn)-7]
	const parameter = "arn:aws:ssm:us-east-1:000000000000:parameter"
	for from, want := range map[string]string{
		"/orders/db": "postgres://", "plain": "p", parameter + "/orders/db": "postgres://", parameter + "/plain": "p",
		arn: `{"user":"bob"}`, short: `{"user":"bob"}`, arn + ":user::": "bob", short + ":user:AWSPREVIOUS:": "ada", arn + ":port:AWSPREVIOUS:": "5432",
	} {
		if got, err := w.Value(from); err != nil || got != want {
			t.Errorf("Value(%s) = %q, %v; want %q", from, got, err, want)
		}
	}
	for from, want := range map[string]string{
		"/nope":                       "unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid parameters: /nope",
		arn + ":nope::":               "did not contain json key nope",
		arn + "::AWSPENDING:":         "staging label: AWSPENDING",
		arn[:len(arn)-7] + "x-AbCdEf": "ResourceNotFoundException: Secrets Manager can't find the specified secret.",
		strings.Replace(arn, region, "eu-west-1", 1): "ResourceNotFoundException",
	} {
		if got, err := w.Value(from); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Value(%s) = %q, %v; want %q", from, got, err, want)
		}
	}
}

func TestSave_IsWhatLoadBringsBack(t *testing.T) {
	w := newWorld(t)
	w.put(t, "/a", "1", types.ParameterTypeSecureString)
	arn, err := w.CreateSecret("s", "v")
	if err != nil {
		t.Fatal(err)
	}
	saved, err := w.Save()
	if err != nil {
		t.Fatal(err)
	}
	other := secrets.New(account, region, time.Now)
	if err := other.Load(saved); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{"/a": "1", arn: "v"} {
		if got, err := other.Value(from); err != nil || got != want {
			t.Errorf("after Load, Value(%s) = %q, %v; want %q", from, got, err, want)
		}
	}
	if err := other.Load([]byte(`{"parameters":{"/a":{}}}`)); err == nil {
		t.Error("Load took a parameter without a value")
	}
}
