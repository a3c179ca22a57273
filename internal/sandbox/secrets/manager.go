package secrets

import (
	"context"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

// Bounds of a secret.
const (
	mostBytes       = 65536
	mostListed      = 100
	recoveryDefault = 30 // days
	day             = 24 * time.Hour
)

var secretForm = form.New(`^[A-Za-z0-9/_+=.@!-]{1,512}$`)

// SecretsManager serves the secrets.
func (s *Store) SecretsManager() *awsjson.Service {
	svc := awsjson.NewService("secretsmanager")
	awsjson.Handle(svc, "CreateSecret", s.createSecret)
	awsjson.Handle(svc, "PutSecretValue", s.putSecretValue)
	awsjson.Handle(svc, "GetSecretValue", s.getSecretValue)
	awsjson.Handle(svc, "DescribeSecret", s.describeSecret)
	awsjson.Handle(svc, "ListSecrets", s.listSecrets)
	awsjson.Handle(svc, "UpdateSecret", s.updateSecret)
	awsjson.Handle(svc, "DeleteSecret", s.deleteSecret)
	return svc
}

// secretInput is what CreateSecret, UpdateSecret and PutSecretValue take.
type secretInput struct {
	SecretId           string   `json:"SecretId"`
	Name               string   `json:"Name"`
	ClientRequestToken string   `json:"ClientRequestToken"`
	Description        *string  `json:"Description"`
	KmsKeyId           *string  `json:"KmsKeyId"`
	SecretString       *string  `json:"SecretString"`
	SecretBinary       []byte   `json:"SecretBinary"`
	VersionStages      []string `json:"VersionStages"`
	Tags               []tag    `json:"Tags"`
}

type secretOutput struct {
	ARN           string   `json:"ARN"`
	Name          string   `json:"Name"`
	VersionId     *string  `json:"VersionId"`
	VersionStages []string `json:"VersionStages"`
}

// version is the value in a request, nil when it has none, and its id.
func (in *secretInput) version(now time.Time) (*secretVersion, string, error) {
	id := in.ClientRequestToken
	if id == "" {
		id = awsjson.NewUUID()
	}
	switch {
	case in.SecretString == nil && len(in.SecretBinary) == 0:
		return nil, "", nil
	case in.SecretString != nil && len(in.SecretBinary) > 0:
		return nil, "", refusal("InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
	case len(id) < 32 || len(id) > 64:
		return nil, "", refusal("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
	case in.SecretString != nil && len(*in.SecretString) > mostBytes, len(in.SecretBinary) > mostBytes:
		return nil, "", refusal("ValidationException", "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to %d", mostBytes)
	}
	return &secretVersion{Text: in.SecretString, Bytes: in.SecretBinary, Created: now}, id, nil
}

// CreateSecret makes a secret with a text for a value, and tells its ARN.
func (s *Store) CreateSecret(name, value string) (arn string, err error) {
	out, err := s.createSecret(context.Background(), &secretInput{Name: name, SecretString: &value})
	if err != nil {
		return "", err
	}
	return out.ARN, nil
}

func (s *Store) createSecret(_ context.Context, in *secretInput) (*secretOutput, error) {
	if !secretForm.MatchString(in.Name) {
		return nil, refusal("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	v, id, err := in.version(s.now())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, missing := s.open(in.Name)
	switch {
	case missing == nil && x.Deleted != nil:
		return nil, refusal("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
	case missing == nil && (v == nil || x.Versions[id] == nil || !x.Versions[id].same(v)):
		return nil, refusal("ResourceExistsException", "The operation failed because the secret %s already exists.", in.Name)
	case missing != nil:
		x = &secret{
			Name: in.Name, ARN: "arn:aws:secretsmanager:" + s.region + ":" + s.account + ":secret:" + in.Name + "-" + suffix(),
			Created: s.now(), Changed: s.now(), Tags: in.Tags, Versions: map[string]*secretVersion{},
		}
		s.secrets[in.Name] = x
	}
	return x.change(in, v, id)
}

// change writes what a request says into the secret.
func (x *secret) change(in *secretInput, v *secretVersion, id string) (*secretOutput, error) {
	if in.Description != nil {
		x.Description = *in.Description
	}
	if in.KmsKeyId != nil {
		x.KmsKeyID = *in.KmsKeyId
	}
	out := &secretOutput{ARN: x.ARN, Name: x.Name}
	if v == nil {
		return out, nil
	}
	if err := x.add(id, v, []string{current}); err != nil {
		return nil, err
	}
	out.VersionId = &id
	return out, nil
}

func (s *Store) updateSecret(_ context.Context, in *secretInput) (*secretOutput, error) {
	v, id, err := in.version(s.now())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	x.Changed = s.now()
	return x.change(in, v, id)
}

func (s *Store) putSecretValue(_ context.Context, in *secretInput) (*secretOutput, error) {
	v, id, err := in.version(s.now())
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, refusal("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	}
	stages := in.VersionStages
	if len(stages) == 0 {
		stages = []string{current}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := x.add(id, v, stages); err != nil {
		return nil, err
	}
	return &secretOutput{ARN: x.ARN, Name: x.Name, VersionId: &id, VersionStages: x.Versions[id].Stages}, nil
}

type getSecretValueInput struct {
	SecretId     string `json:"SecretId"`
	VersionId    string `json:"VersionId"`
	VersionStage string `json:"VersionStage"`
}

type getSecretValueOutput struct {
	ARN           string    `json:"ARN"`
	Name          string    `json:"Name"`
	VersionId     string    `json:"VersionId"`
	SecretString  *string   `json:"SecretString"`
	SecretBinary  []byte    `json:"SecretBinary"`
	VersionStages []string  `json:"VersionStages"`
	CreatedDate   time.Time `json:"CreatedDate"`
}

func (s *Store) getSecretValue(_ context.Context, in *getSecretValueInput) (*getSecretValueOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, id, err := s.read(in.SecretId, in.VersionStage, in.VersionId)
	if err != nil {
		return nil, err
	}
	x, err := s.open(in.SecretId)
	if err != nil {
		return nil, err
	}
	return &getSecretValueOutput{
		ARN: x.ARN, Name: x.Name, VersionId: id, SecretString: v.Text, SecretBinary: v.Bytes, VersionStages: v.Stages, CreatedDate: v.Created,
	}, nil
}

// described is a secret without its values.
type described struct {
	ARN                    string              `json:"ARN"`
	Name                   string              `json:"Name"`
	Description            *string             `json:"Description"`
	KmsKeyId               *string             `json:"KmsKeyId"`
	CreatedDate            time.Time           `json:"CreatedDate"`
	LastChangedDate        time.Time           `json:"LastChangedDate"`
	DeletedDate            *time.Time          `json:"DeletedDate"`
	Tags                   []tag               `json:"Tags"`
	VersionIdsToStages     map[string][]string `json:"VersionIdsToStages"`
	SecretVersionsToStages map[string][]string `json:"SecretVersionsToStages"`
}

func (x *secret) describe() described {
	d := described{ARN: x.ARN, Name: x.Name, CreatedDate: x.Created, LastChangedDate: x.Changed, DeletedDate: x.Deleted, Tags: x.Tags}
	if x.Description != "" {
		d.Description = &x.Description
	}
	if x.KmsKeyID != "" {
		d.KmsKeyId = &x.KmsKeyID
	}
	return d
}

type secretRef struct {
	SecretId string `json:"SecretId"`
}

func (s *Store) describeSecret(_ context.Context, in *secretRef) (*described, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.open(in.SecretId)
	if err != nil {
		return nil, err
	}
	d := x.describe()
	d.VersionIdsToStages = x.stages()
	return &d, nil
}

type listSecretsInput struct {
	IncludePlannedDeletion bool    `json:"IncludePlannedDeletion"`
	MaxResults             *int32  `json:"MaxResults"`
	NextToken              *string `json:"NextToken"`
	Filters                []struct {
		Key    string   `json:"Key"`
		Values []string `json:"Values"`
	} `json:"Filters"`
}

type listSecretsOutput struct {
	SecretList []described `json:"SecretList"`
	NextToken  *string     `json:"NextToken"`
}

func (s *Store) listSecrets(_ context.Context, in *listSecretsInput) (*listSecretsOutput, error) {
	for _, f := range in.Filters {
		if f.Key != "name" {
			return nil, refusal("InvalidParameterException", "The sandbox filters secrets by name only, not by %s.", f.Key)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, x := range s.secrets {
		if in.matches(name) && (x.Deleted == nil || in.IncludePlannedDeletion) {
			names = append(names, name)
		}
	}
	token := ""
	if in.NextToken != nil {
		token = *in.NextToken
	}
	names, next := page(names, token, amount(in.MaxResults, mostListed))
	out := &listSecretsOutput{SecretList: []described{}, NextToken: next}
	for _, name := range names {
		d := s.secrets[name].describe()
		d.SecretVersionsToStages = s.secrets[name].stages()
		out.SecretList = append(out.SecretList, d)
	}
	return out, nil
}

// matches reports whether each filter has a value that the name begins with.
func (in *listSecretsInput) matches(name string) bool {
	for _, f := range in.Filters {
		found := false
		for _, v := range f.Values {
			found = found || strings.HasPrefix(name, v)
		}
		if !found {
			return false
		}
	}
	return true
}

type deleteSecretInput struct {
	SecretId                   string `json:"SecretId"`
	RecoveryWindowInDays       *int64 `json:"RecoveryWindowInDays"`
	ForceDeleteWithoutRecovery bool   `json:"ForceDeleteWithoutRecovery"`
}

type deleteSecretOutput struct {
	ARN          string    `json:"ARN"`
	Name         string    `json:"Name"`
	DeletionDate time.Time `json:"DeletionDate"`
}

func (s *Store) deleteSecret(_ context.Context, in *deleteSecretInput) (*deleteSecretOutput, error) {
	days := int64(recoveryDefault)
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	switch {
	case in.ForceDeleteWithoutRecovery && in.RecoveryWindowInDays != nil:
		return nil, refusal("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case days < 7 || days > 30:
		return nil, refusal("InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	at := s.now()
	if in.ForceDeleteWithoutRecovery {
		delete(s.secrets, x.Name)
	} else {
		at = at.Add(time.Duration(days) * day)
		x.Deleted = &at
	}
	return &deleteSecretOutput{ARN: x.ARN, Name: x.Name, DeletionDate: at}, nil
}
