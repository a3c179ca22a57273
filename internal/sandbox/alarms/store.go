package alarms

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is kept.
const (
	maxAlarms  = 5000 // CloudWatch's own quota by default
	keptEvents = 100  // of an alarm's history
)

// Store holds the alarms. Its methods may be called concurrently.
type Store struct {
	account, region string
	now             func() time.Time

	mu     sync.Mutex
	alarms map[string]*alarm
}

// alarm is one alarm of either kind. Its fields are exported for [Store.Save].
type alarm struct {
	Common
	Standing
	Measure *Measure      `json:"measure,omitempty"` // of a metric alarm
	Rule    *Rule         `json:"rule,omitempty"`    // of a composite one
	Tags    []Tag         `json:"tags,omitempty"`
	History []HistoryItem `json:"history,omitempty"` // oldest first

	follows expression // Rule, parsed
}

func (a *alarm) kind() string {
	if a.Rule != nil {
		return compositeKind
	}
	return metricKind
}

// New returns a store without alarms. A nil clock is time.Now.
func New(account, region string, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{account: account, region: region, now: now, alarms: make(map[string]*alarm)}
}

// State is the state of an alarm of either kind: OK, ALARM or INSUFFICIENT_DATA.
func (s *Store) State(name string) (state string, exists bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.alarms[name]
	if a == nil {
		return "", false
	}
	return a.StateValue, true
}

// Set gives an alarm a state, as SetAlarmState does.
func (s *Store) Set(name, state, reason string) error {
	_, err := s.setState(&setStateInput{AlarmName: name, StateValue: state, StateReason: reason})
	return err
}

// Plant makes an alarm that is in a state already: a metric alarm, or a composite
// one with a rule, which has the state that its rule says.
func (s *Store) Plant(name, state, rule string) error {
	if rule != "" {
		_, err := s.putComposite(&putCompositeInput{Common: Common{AlarmName: name}, Rule: Rule{AlarmRule: rule}})
		return err
	}
	one, threshold, period := int32(1), 1.0, int32(60)
	_, err := s.putMetric(&putMetricInput{Common: Common{AlarmName: name}, Measure: Measure{
		Namespace: "Sandbox", MetricName: name, Statistic: "Sum", Period: &period, EvaluationPeriods: &one,
		Threshold: &threshold, ComparisonOperator: "GreaterThanOrEqualToThreshold",
	}})
	if err != nil {
		return err
	}
	return s.Set(name, cmp.Or(state, OK), "The seed says so.")
}

// transition gives an alarm a state and lets the composite alarms follow. The
// caller holds the lock.
func (s *Store) transition(a *alarm, state, reason, data string) {
	s.enter(a, state, reason, data)
	// Each round settles at least one more alarm, unless rules name each other in
	// a circle; those stay as the last round leaves them.
	for range s.alarms {
		if !s.followRules() {
			return
		}
	}
}

func (s *Store) followRules() (changed bool) {
	for _, name := range slices.Sorted(maps.Keys(s.alarms)) {
		a := s.alarms[name]
		if a.follows == nil {
			continue
		}
		if state := s.stateByRule(a.follows); state != a.StateValue {
			s.enter(a, state, fmt.Sprintf("The alarm rule is %s now.", state), "")
			changed = true
		}
	}
	return changed
}

// stateByRule is OK or ALARM: a composite alarm has no data of its own that could
// be insufficient.
func (s *Store) stateByRule(e expression) string {
	if e(func(name string) string {
		if a := s.alarms[name]; a != nil {
			return a.StateValue
		}
		return InsufficientData
	}) {
		return Alarm
	}
	return OK
}

// enter writes a state down.
func (s *Store) enter(a *alarm, state, reason, data string) {
	now, before := s.now().UTC(), a.StateValue
	a.StateUpdatedTimestamp = now
	if state != before {
		a.StateTransitionedTimestamp = now
		s.note(a, "StateUpdate", fmt.Sprintf("Alarm updated from %s to %s", before, state), stateChange(before, state, reason))
	}
	a.StateValue, a.StateReason, a.StateReasonData = state, reason, data
}

// stateChange is the data of a history item of a new state.
func stateChange(before, after, reason string) string {
	type side struct {
		StateValue  string `json:"stateValue"`
		StateReason string `json:"stateReason,omitempty"`
	}
	b, err := json.Marshal(struct {
		Version  string `json:"version"`
		OldState side   `json:"oldState"`
		NewState side   `json:"newState"`
	}{"1.0", side{StateValue: before}, side{after, reason}})
	if err != nil { // not with strings
		return "{}"
	}
	return string(b)
}

// note adds to an alarm's history, of which the latest items are kept.
func (s *Store) note(a *alarm, kind, summary, data string) {
	a.History = append(a.History, HistoryItem{
		AlarmName: a.AlarmName, AlarmType: a.kind(), Timestamp: s.now().UTC(),
		HistoryItemType: kind, HistorySummary: summary, HistoryData: data,
	})
	if len(a.History) > keptEvents {
		a.History = slices.Clone(a.History[1:])
	}
}

func (s *Store) arn(name string) string {
	return "arn:aws:cloudwatch:" + s.region + ":" + s.account + ":alarm:" + name
}

// byARN is the alarm of an ARN, nil when there is none.
func (s *Store) byARN(arn string) *alarm {
	name, ok := strings.CutPrefix(arn, s.arn(""))
	if !ok {
		return nil
	}
	return s.alarms[name]
}

// Save writes all alarms down.
func (s *Store) Save() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.Marshal(s.alarms)
}

// Load replaces all alarms by those that [Store.Save] wrote.
func (s *Store) Load(saved json.RawMessage) error {
	loaded := make(map[string]*alarm)
	if err := json.Unmarshal(saved, &loaded); err != nil {
		return fmt.Errorf("load alarms: %w", err)
	}
	for name, a := range loaded {
		if a.Rule == nil {
			continue
		}
		var err error
		if a.follows, _, err = parseRule(a.Rule.AlarmRule); err != nil {
			return fmt.Errorf("load alarm %s: %w", name, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms = loaded
	return nil
}
