package secrets

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

// Types of a parameter.
const (
	String       = "String"
	StringList   = "StringList"
	SecureString = "SecureString"
)

// Bounds of a parameter.
const (
	mostVersions  = 100
	mostStandard  = 4 << 10 // bytes of a value in the tier Standard
	mostAdvanced  = 8 << 10
	mostByPath    = 10
	mostNames     = 10
	mostName      = 1011 // letters
	tierStandard  = "Standard"
	tierAdvanced  = "Advanced"
	defaultFormat = "text"
)

var parameterForm = form.New(`^[a-zA-Z0-9_./-]+$`)

// parameter is a parameter with its versions, oldest first.
type parameter struct {
	Type     string             `json:"type"`
	DataType string             `json:"dataType"`
	Tier     string             `json:"tier"`
	First    int64              `json:"first"` // number of Versions[0]
	Versions []parameterVersion `json:"versions"`
}

type parameterVersion struct {
	Value    string    `json:"value"`
	Modified time.Time `json:"modified"`
}

func (p *parameter) version() int64 { return p.First + int64(len(p.Versions)) - 1 }

func refusal(code, format string, a ...any) error {
	return awsjson.Errorf(code, http.StatusBadRequest, format, a...)
}

// SSM serves the parameters as Systems Manager does.
func (s *Store) SSM() *awsjson.Service {
	svc := awsjson.NewService("AmazonSSM")
	awsjson.Handle(svc, "PutParameter", s.putParameter)
	awsjson.Handle(svc, "GetParameter", s.getParameter)
	awsjson.Handle(svc, "GetParameters", s.getParameters)
	awsjson.Handle(svc, "GetParametersByPath", s.getParametersByPath)
	awsjson.Handle(svc, "DeleteParameter", s.deleteParameter)
	awsjson.Handle(svc, "DeleteParameters", s.deleteParameters)
	return svc
}

type putParameterInput struct {
	Name      string `json:"Name"`
	Value     string `json:"Value"`
	Type      string `json:"Type"`
	DataType  string `json:"DataType"`
	Tier      string `json:"Tier"`
	Overwrite bool   `json:"Overwrite"`
}

type putParameterOutput struct {
	Version int64  `json:"Version"`
	Tier    string `json:"Tier"`
}

// PutParameter writes a parameter, as the API does it; kind is "" to keep the
// type of one that is there.
func (s *Store) PutParameter(name, value, kind string, overwrite bool) error {
	_, err := s.putParameter(context.Background(), &putParameterInput{Name: name, Value: value, Type: kind, Overwrite: overwrite})
	return err
}

func (s *Store) putParameter(_ context.Context, in *putParameterInput) (*putParameterOutput, error) {
	name := s.parameterName(in.Name)
	if err := checkParameter(name, in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parameters[name]
	switch {
	case p != nil && !in.Overwrite:
		return nil, refusal("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case p == nil && in.Type == "":
		return nil, refusal("ValidationException", "A parameter type is required when you create a parameter.")
	case p == nil:
		p = &parameter{First: 1, DataType: defaultFormat, Tier: tierStandard}
		s.parameters[name] = p
	}
	if in.Type != "" {
		p.Type = in.Type
	}
	if in.DataType != "" {
		p.DataType = in.DataType
	}
	if in.Tier == tierAdvanced || len(in.Value) > mostStandard {
		p.Tier = tierAdvanced
	}
	p.Versions = append(p.Versions, parameterVersion{in.Value, s.now()})
	if over := len(p.Versions) - mostVersions; over > 0 {
		p.Versions, p.First = slices.Clone(p.Versions[over:]), p.First+int64(over)
	}
	return &putParameterOutput{Version: p.version(), Tier: p.Tier}, nil
}

func checkParameter(name string, in *putParameterInput) error {
	switch {
	case len(name) > mostName, !parameterForm.MatchString(name):
		return refusal("ValidationException", "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_")
	case strings.Contains(name, "/") && !strings.HasPrefix(name, "/"):
		return refusal("ValidationException", "Parameter name must be a fully qualified name.")
	case reserved(name):
		return refusal("AccessDeniedException", "No access to reserved parameter name: %s.", name)
	case in.Value == "":
		return refusal("ValidationException", "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.")
	case !slices.Contains([]string{"", String, StringList, SecureString}, in.Type):
		return refusal("ValidationException", "1 validation error detected: Value '%s' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [SecureString, StringList, String]", in.Type)
	case len(in.Value) > mostAdvanced, len(in.Value) > mostStandard && in.Tier != tierAdvanced && in.Tier != "Intelligent-Tiering":
		return refusal("ValidationException", "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html")
	}
	return nil
}

// reserved names are those that AWS keeps for itself.
func reserved(name string) bool {
	lower := strings.ToLower(strings.TrimPrefix(name, "/"))
	return strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "ssm")
}

// parameterName is the name in a name or an ARN, without what would select a
// version of it.
func (s *Store) parameterName(ref string) string {
	rest, isARN := strings.CutPrefix(ref, s.parameterARN(""))
	if !isARN {
		return ref
	}
	if strings.Contains(rest, "/") {
		return "/" + rest
	}
	return rest
}

func (s *Store) parameterARN(name string) string {
	return "arn:aws:ssm:" + s.region + ":" + s.account + ":parameter/" + strings.TrimPrefix(name, "/")
}

// parameterOut is a parameter as the API tells it.
type parameterOut struct {
	Name             string    `json:"Name"`
	Type             string    `json:"Type"`
	Value            string    `json:"Value"`
	Version          int64     `json:"Version"`
	Selector         *string   `json:"Selector"`
	LastModifiedDate time.Time `json:"LastModifiedDate"`
	ARN              string    `json:"ARN"`
	DataType         string    `json:"DataType"`
}

// find reads a parameter by name or ARN and, after a colon, the number of a
// version. s.mu is held.
func (s *Store) find(ref string, decrypt bool) (parameterOut, error) {
	name := s.parameterName(ref)
	name, selector, selected := strings.Cut(name, ":")
	p := s.parameters[name]
	if p == nil && !strings.HasPrefix(name, "/") && strings.Contains(ref, ":parameter/") {
		name = "/" + name // an ARN does not tell "/name" from "name"
		p = s.parameters[name]
	}
	if p == nil {
		return parameterOut{}, refusal("ParameterNotFound", "")
	}
	number := p.version()
	if selected {
		n, err := strconv.ParseInt(selector, 10, 64)
		if err != nil || n < p.First || n > number {
			return parameterOut{}, refusal("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", selector, name)
		}
		number = n
	}
	v := p.Versions[number-p.First]
	out := parameterOut{
		Name: name, Type: p.Type, Value: v.Value, Version: number, LastModifiedDate: v.Modified,
		ARN: s.parameterARN(name), DataType: p.DataType,
	}
	if selected {
		out.Selector = new(":" + selector)
	}
	if p.Type == SecureString && !decrypt {
		out.Value = "AQICAHh" + base64.StdEncoding.EncodeToString([]byte(out.ARN)) // looks as KMS's ciphertext does
	}
	return out, nil
}

type getParameterInput struct {
	Name           string `json:"Name"`
	WithDecryption bool   `json:"WithDecryption"`
}

type getParameterOutput struct {
	Parameter parameterOut `json:"Parameter"`
}

func (s *Store) getParameter(_ context.Context, in *getParameterInput) (*getParameterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(in.Name, in.WithDecryption)
	if err != nil {
		return nil, err
	}
	return &getParameterOutput{p}, nil
}

type getParametersInput struct {
	Names          []string `json:"Names"`
	WithDecryption bool     `json:"WithDecryption"`
}

type getParametersOutput struct {
	Parameters        []parameterOut `json:"Parameters"`
	InvalidParameters []string       `json:"InvalidParameters"`
}

func (s *Store) getParameters(_ context.Context, in *getParametersInput) (*getParametersOutput, error) {
	if len(in.Names) == 0 || len(in.Names) > mostNames {
		return nil, refusal("ValidationException", "1 validation error detected: Value '[%s]' at 'names' failed to satisfy constraint: Member must have length less than or equal to %d", strings.Join(in.Names, ", "), mostNames)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &getParametersOutput{Parameters: []parameterOut{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		p, err := s.find(name, in.WithDecryption)
		if err != nil {
			out.InvalidParameters = append(out.InvalidParameters, name)
			continue
		}
		out.Parameters = append(out.Parameters, p)
	}
	return out, nil
}

type getParametersByPathInput struct {
	Path           string  `json:"Path"`
	Recursive      bool    `json:"Recursive"`
	WithDecryption bool    `json:"WithDecryption"`
	MaxResults     *int32  `json:"MaxResults"`
	NextToken      *string `json:"NextToken"`
}

type getParametersByPathOutput struct {
	Parameters []parameterOut `json:"Parameters"`
	NextToken  *string        `json:"NextToken"`
}

func (s *Store) getParametersByPath(_ context.Context, in *getParametersByPathInput) (*getParametersByPathOutput, error) {
	if !strings.HasPrefix(in.Path, "/") {
		return nil, refusal("ValidationException", "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".")
	}
	path := strings.TrimSuffix(in.Path, "/") + "/"
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.parameters {
		rest, below := strings.CutPrefix(name, path)
		if below && (in.Recursive || !strings.Contains(rest, "/")) {
			names = append(names, name)
		}
	}
	token := ""
	if in.NextToken != nil {
		token = *in.NextToken
	}
	names, next := page(names, token, amount(in.MaxResults, mostByPath))
	out := &getParametersByPathOutput{Parameters: []parameterOut{}, NextToken: next}
	for _, name := range names {
		p, err := s.find(name, in.WithDecryption)
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, p)
	}
	return out, nil
}

type deleteParameterInput struct {
	Name string `json:"Name"`
}

type deleteParameterOutput struct{}

func (s *Store) deleteParameter(_ context.Context, in *deleteParameterInput) (*deleteParameterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(in.Name, false)
	if err != nil {
		return nil, err
	}
	delete(s.parameters, p.Name)
	return &deleteParameterOutput{}, nil
}

type deleteParametersInput struct {
	Names []string `json:"Names"`
}

type deleteParametersOutput struct {
	DeletedParameters []string `json:"DeletedParameters"`
	InvalidParameters []string `json:"InvalidParameters"`
}

func (s *Store) deleteParameters(_ context.Context, in *deleteParametersInput) (*deleteParametersOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &deleteParametersOutput{DeletedParameters: []string{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		if _, there := s.parameters[name]; !there {
			out.InvalidParameters = append(out.InvalidParameters, name)
			continue
		}
		delete(s.parameters, name)
		out.DeletedParameters = append(out.DeletedParameters, name)
	}
	return out, nil
}

// Parameters lists the names of all parameters.
func (s *Store) Parameters() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.parameters))
}
