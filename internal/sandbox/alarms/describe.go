package alarms

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// Page sizes, as CloudWatch documents them.
const (
	alarmsAPage  = 50
	historyAPage = 50
	largestPage  = 100
	namesAtOnce  = 100
)

func (s *Store) describe(in *describeInput) (*describeOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := s.matching(in)
	from, err := position(in.NextToken, len(wanted))
	if err != nil {
		return nil, err
	}
	end := min(from+pageSize(in.MaxRecords, alarmsAPage), len(wanted))
	out := &describeOutput{MetricAlarms: []MetricAlarm{}, CompositeAlarms: []CompositeAlarm{}, NextToken: token(end, len(wanted))}
	for _, a := range wanted[from:end] {
		if a.Rule != nil {
			out.CompositeAlarms = append(out.CompositeAlarms, CompositeAlarm{a.Common, a.Standing, *a.Rule})
			continue
		}
		out.MetricAlarms = append(out.MetricAlarms, MetricAlarm{a.Common, a.Standing, *a.Measure})
	}
	return out, nil
}

func (in *describeInput) check() error {
	for _, kind := range in.AlarmTypes {
		if err := oneOf("AlarmTypes", kind, compositeKind, metricKind); err != nil {
			return err
		}
	}
	if err := oneOf("StateValue", in.StateValue, InsufficientData, Alarm, OK); err != nil {
		return err
	}
	if len(in.AlarmNames) > namesAtOnce {
		return invalid("1 validation error detected: Value at 'alarmNames' failed to satisfy constraint: Member must have length less than or equal to %d", namesAtOnce)
	}
	if len(in.AlarmNames) > 0 && in.AlarmNamePrefix != "" {
		return awsjson.Errorf("InvalidParameterCombination", http.StatusBadRequest, "AlarmNamePrefix and AlarmNames are mutually exclusive")
	}
	return checkPage(in.MaxRecords)
}

func checkPage(records *int32) error {
	if records != nil && (*records < 1 || *records > largestPage) {
		bound := "greater than or equal to 1"
		if *records > largestPage {
			bound = "less than or equal to " + strconv.Itoa(largestPage)
		}
		return invalid("1 validation error detected: Value '%d' at 'maxRecords' failed to satisfy constraint: Member must have value %s", *records, bound)
	}
	return nil
}

// matching are the alarms that a request asks for, by name. Without types those
// of metrics only, as on AWS.
func (s *Store) matching(in *describeInput) []*alarm {
	types := in.AlarmTypes
	if len(types) == 0 {
		types = []string{metricKind}
	}
	var related []string // by a rule, when such are asked for
	switch {
	case in.ChildrenOfAlarmName != "":
		related, types = s.children(in.ChildrenOfAlarmName), []string{metricKind, compositeKind}
	case in.ParentsOfAlarmName != "":
		related, types = s.parents(in.ParentsOfAlarmName), []string{metricKind, compositeKind}
	}
	byRule := in.ChildrenOfAlarmName != "" || in.ParentsOfAlarmName != ""
	var out []*alarm
	for _, name := range slices.Sorted(maps.Keys(s.alarms)) {
		a := s.alarms[name]
		if slices.Contains(types, a.kind()) && (!byRule || slices.Contains(related, name)) &&
			(len(in.AlarmNames) == 0 || slices.Contains(in.AlarmNames, name)) &&
			strings.HasPrefix(name, in.AlarmNamePrefix) &&
			(in.StateValue == "" || in.StateValue == a.StateValue) && a.acts(in.ActionPrefix) {
			out = append(out, a)
		}
	}
	return out
}

// acts says whether an action of the alarm begins so; everything begins with "".
func (a *alarm) acts(prefix string) bool {
	return prefix == "" || slices.ContainsFunc(slices.Concat(a.OKActions, a.AlarmActions, a.InsufficientDataActions),
		func(action string) bool { return strings.HasPrefix(action, prefix) })
}

// children are the alarms that the rule of one names.
func (s *Store) children(name string) []string {
	a := s.alarms[name]
	if a == nil || a.Rule == nil {
		return nil
	}
	_, names, _ := parseRule(a.Rule.AlarmRule) // it was read when it was put
	return names
}

// parents are the composite alarms whose rule names one.
func (s *Store) parents(name string) []string {
	var out []string
	for parent := range s.alarms {
		if slices.Contains(s.children(parent), name) {
			out = append(out, parent)
		}
	}
	return out
}

func (s *Store) history(in *historyInput) (*historyOutput, error) {
	if err := checkPage(in.MaxRecords); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []HistoryItem
	for _, name := range slices.Sorted(maps.Keys(s.alarms)) {
		for _, item := range s.alarms[name].History {
			if in.wants(item) {
				items = append(items, item)
			}
		}
	}
	slices.SortStableFunc(items, func(a, b HistoryItem) int { return a.Timestamp.Compare(b.Timestamp) })
	if in.ScanBy != "TimestampAscending" {
		slices.Reverse(items)
	}
	from, err := position(in.NextToken, len(items))
	if err != nil {
		return nil, err
	}
	end := min(from+pageSize(in.MaxRecords, historyAPage), len(items))
	return &historyOutput{AlarmHistoryItems: append([]HistoryItem{}, items[from:end]...), NextToken: token(end, len(items))}, nil
}

func (in *historyInput) wants(item HistoryItem) bool {
	types := in.AlarmTypes
	if len(types) == 0 {
		types = []string{metricKind}
	}
	return (in.AlarmName == "" || in.AlarmName == item.AlarmName) && slices.Contains(types, item.AlarmType) &&
		(in.HistoryItemType == "" || in.HistoryItemType == item.HistoryItemType) &&
		(in.StartDate.IsZero() || !item.Timestamp.Before(in.StartDate)) &&
		(in.EndDate.IsZero() || !item.Timestamp.After(in.EndDate))
}

func pageSize(asked *int32, otherwise int) int {
	if asked == nil {
		return otherwise
	}
	return int(*asked)
}

// token says where the next page begins, "" when there is none.
func token(next, length int) string {
	if next >= length {
		return ""
	}
	return base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(next)))
}

func position(token string, length int) (int, error) {
	if token == "" {
		return 0, nil
	}
	b, err := base64.StdEncoding.DecodeString(token)
	at, notNumber := strconv.Atoi(string(b))
	if err != nil || notNumber != nil || at < 0 {
		return 0, awsjson.Errorf("InvalidNextToken", http.StatusBadRequest, "The next token specified is invalid.")
	}
	return min(at, length), nil
}
