package seed

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"go.yaml.in/yaml/v4"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// Age is a moment of the past: "-72h" before the sandbox's start, or a time in
// RFC 3339. The zero Age means that the file does not say.
type Age struct {
	ago time.Duration
	at  time.Time
}

// Ago is the age d before the start.
func Ago(d time.Duration) Age { return Age{ago: d} }

// IsZero says that nothing was given.
func (a Age) IsZero() bool { return a.ago == 0 && a.at.IsZero() }

// At is the moment, for a sandbox that starts at now.
func (a Age) At(now time.Time) time.Time {
	if !a.at.IsZero() {
		return a.at
	}
	return now.Add(-a.ago)
}

// Or is a's moment, or fallback when the file does not say.
func (a Age) Or(now, fallback time.Time) time.Time {
	if a.IsZero() {
		return fallback
	}
	return a.At(now)
}

// UnmarshalYAML reads "-72h" or a time in RFC 3339.
func (a *Age) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a time must be an age like -72h or an RFC 3339 time", node.Line)
	}
	if age, ok := strings.CutPrefix(node.Value, "-"); ok {
		d, err := time.ParseDuration(age)
		if err == nil && d > 0 {
			a.ago = d
			return nil
		}
	}
	if at, err := time.Parse(time.RFC3339, node.Value); err == nil {
		a.at = at.UTC()
		return nil
	}
	return fmt.Errorf("line %d: %q is neither an age like -72h nor an RFC 3339 time", node.Line, node.Value)
}

// Duration is a time.Duration, written "2s".
type Duration time.Duration

// UnmarshalYAML reads a duration that is not negative.
func (d *Duration) UnmarshalYAML(node *yaml.Node) error {
	parsed, err := time.ParseDuration(node.Value)
	if err != nil || parsed < 0 {
		return fmt.Errorf("line %d: %q is no duration like 2s", node.Line, node.Value)
	}
	*d = Duration(parsed)
	return nil
}

// Register is the revision's definition as a RegisterTaskDefinition request.
func (r Revision) Register() (*ecs.RegisterTaskDefinitionInput, error) {
	in := new(ecs.RegisterTaskDefinitionInput)
	if err := awsjson.Unmarshal(r.Definition.Raw, in); err != nil {
		return nil, fmt.Errorf("definition: %w", err)
	}
	in.Family = &r.Family
	return in, nil
}

// Create is the service as a CreateService request, without a task definition.
func (s Service) Create() (*ecs.CreateServiceInput, error) {
	in := new(ecs.CreateServiceInput)
	if err := awsjson.Unmarshal(s.Settings.Raw, in); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	count := int32(s.DesiredCount)
	in.Cluster, in.ServiceName, in.DesiredCount = &s.Cluster, &s.Name, &count
	return in, nil
}
