package alarms

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

func invalid(format string, a ...any) error {
	return awsjson.Errorf("ValidationError", http.StatusBadRequest, format, a...)
}

func notFound() error { return awsjson.Errorf("ResourceNotFound", http.StatusNotFound, "") }

// required refuses the first member that is not set.
func required(members ...[2]string) error {
	for _, m := range members {
		if m[1] == "" {
			return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", lowerFirst(m[0]))
		}
	}
	return nil
}

func oneOf(member, value string, words ...string) error {
	if value == "" || slices.Contains(words, value) {
		return nil
	}
	return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]",
		value, lowerFirst(member), strings.Join(words, ", "))
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func (c Common) check() error {
	if err := required([2]string{"AlarmName", c.AlarmName}); err != nil {
		return err
	}
	if len(c.AlarmName) > 255 {
		return invalid("1 validation error detected: Value '%s' at 'alarmName' failed to satisfy constraint: Member must have length less than or equal to 255", c.AlarmName)
	}
	for _, list := range [][]string{c.OKActions, c.AlarmActions, c.InsufficientDataActions} {
		if len(list) > 5 {
			return invalid("An alarm takes at most 5 actions for a state.")
		}
	}
	return nil
}

// comparisons are the operators that compare with a threshold, and those that
// compare with a band.
var comparisons = []string{
	"GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold",
	"LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold",
}

func (m Measure) check() error {
	if m.EvaluationCriteria != nil {
		return nil // in place of all the others
	}
	if m.EvaluationPeriods == nil {
		return required([2]string{"EvaluationPeriods", ""})
	}
	if err := required([2]string{"ComparisonOperator", m.ComparisonOperator}); err != nil {
		return err
	}
	if err := oneOf("ComparisonOperator", m.ComparisonOperator, comparisons...); err != nil {
		return err
	}
	if len(m.Metrics) > 0 {
		if m.MetricName != "" {
			return awsjson.Errorf("InvalidParameterCombination", http.StatusBadRequest, "MetricName must not be specified if Metrics is specified.")
		}
		return nil
	}
	for _, p := range []struct {
		name  string
		given bool
	}{
		{"MetricName", m.MetricName != ""}, {"Namespace", m.Namespace != ""}, {"Period", m.Period != nil},
		{"Statistic or ExtendedStatistic", m.Statistic != "" || m.ExtendedStatistic != ""}, {"Threshold", m.Threshold != nil},
	} {
		if !p.given {
			return awsjson.Errorf("MissingParameter", http.StatusBadRequest, "The parameter %s is required.", p.name)
		}
	}
	return oneOf("Statistic", m.Statistic, "SampleCount", "Average", "Sum", "Minimum", "Maximum")
}

func (s *Store) putMetric(in *putMetricInput) (*none, error) {
	if err := in.Common.check(); err != nil {
		return nil, err
	}
	if err := in.Measure.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.put(in.Common, metricKind, in.Tags)
	if err != nil {
		return nil, err
	}
	a.Measure = &in.Measure
	return &none{}, nil
}

func (s *Store) putComposite(in *putCompositeInput) (*none, error) {
	if err := in.Common.check(); err != nil {
		return nil, err
	}
	if err := required([2]string{"AlarmRule", in.AlarmRule}); err != nil {
		return nil, err
	}
	follows, names, err := parseRule(in.AlarmRule)
	if err != nil {
		return nil, invalid("AlarmRule %s cannot be read: %s.", in.AlarmRule, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []string
	for _, name := range names {
		if s.alarms[name] == nil && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, invalid("Could not save the composite alarm as alarms [%s] in the alarm rule do not exist", strings.Join(missing, ", "))
	}
	a, err := s.put(in.Common, compositeKind, in.Tags)
	if err != nil {
		return nil, err
	}
	a.Rule, a.follows = &in.Rule, follows
	s.transition(a, s.stateByRule(follows), a.StateReason, "")
	return &none{}, nil
}

// put makes an alarm, or gives one its new configuration; its state stays.
func (s *Store) put(c Common, kind string, tags []Tag) (*alarm, error) {
	if c.ActionsEnabled == nil {
		yes := true
		c.ActionsEnabled = &yes
	}
	now := s.now().UTC()
	a := s.alarms[c.AlarmName]
	switch {
	case a != nil && a.kind() != kind:
		return nil, invalid("There is an alarm %s of another type already.", c.AlarmName)
	case a != nil:
		a.Common = c
		s.note(a, "ConfigurationUpdate", fmt.Sprintf("Alarm %q updated", c.AlarmName), `{"type":"Update","version":"1.0"}`)
	case len(s.alarms) >= maxAlarms:
		return nil, awsjson.Errorf("LimitExceeded", http.StatusBadRequest, "There are %d alarms already.", maxAlarms)
	default:
		a = &alarm{Common: c, Tags: tags, Standing: Standing{
			AlarmArn: s.arn(c.AlarmName), StateValue: InsufficientData,
			StateReason: "Unchecked: Initial alarm creation", StateUpdatedTimestamp: now, StateTransitionedTimestamp: now,
		}}
		if kind == compositeKind {
			a.Rule = new(Rule) // says what it is until the caller has set it
		}
		s.alarms[c.AlarmName] = a
		s.note(a, "ConfigurationUpdate", fmt.Sprintf("Alarm %q created", c.AlarmName), `{"type":"Create","version":"1.0"}`)
	}
	a.AlarmConfigurationUpdatedTimestamp = now
	return a, nil
}

func (s *Store) setState(in *setStateInput) (*none, error) {
	err := required([2]string{"AlarmName", in.AlarmName}, [2]string{"StateValue", in.StateValue}, [2]string{"StateReason", in.StateReason})
	if err != nil {
		return nil, err
	}
	if err := oneOf("StateValue", in.StateValue, InsufficientData, Alarm, OK); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.alarms[in.AlarmName]
	if a == nil {
		return nil, notFound()
	}
	s.transition(a, in.StateValue, in.StateReason, in.StateReasonData)
	return &none{}, nil
}

// remove deletes alarms, all or none.
func (s *Store) remove(in *namesInput) (*none, error) {
	if len(in.AlarmNames) == 0 {
		return nil, required([2]string{"AlarmNames", ""})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range in.AlarmNames {
		if s.alarms[name] == nil {
			return nil, notFound()
		}
		for _, parent := range s.parents(name) {
			if !slices.Contains(in.AlarmNames, parent) {
				return nil, invalid("Cannot delete %s as there are composite alarm(s) depending on it.", name)
			}
		}
	}
	for _, name := range in.AlarmNames {
		delete(s.alarms, name)
	}
	return &none{}, nil
}

// actions turns the actions of alarms on or off; names of nothing are passed over.
func (s *Store) actions(enabled bool) func(*namesInput) (*none, error) {
	return func(in *namesInput) (*none, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range in.AlarmNames {
			if a := s.alarms[name]; a != nil {
				a.ActionsEnabled = &enabled
			}
		}
		return &none{}, nil
	}
}

func (s *Store) listTags(in *tagsInput) (*tagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byARN(in.ResourceARN)
	if a == nil {
		return nil, unknownResource(in.ResourceARN)
	}
	return &tagsOutput{Tags: append([]Tag{}, a.Tags...)}, nil
}

func unknownResource(arn string) error {
	return awsjson.Errorf("ResourceNotFoundException", http.StatusNotFound, "Resource %s does not exist.", arn)
}

func (s *Store) tag(in *tagsInput) (*none, error) { return s.retag(in.ResourceARN, in.Tags, nil) }

func (s *Store) untag(in *tagsInput) (*none, error) { return s.retag(in.ResourceARN, nil, in.TagKeys) }

// retag sets tags and takes those of the keys away.
func (s *Store) retag(arn string, set []Tag, keys []string) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byARN(arn)
	if a == nil {
		return nil, unknownResource(arn)
	}
	for _, t := range set {
		keys = append(keys, t.Key)
	}
	a.Tags = slices.DeleteFunc(a.Tags, func(t Tag) bool { return slices.Contains(keys, t.Key) })
	a.Tags = append(a.Tags, set...)
	return &none{}, nil
}
