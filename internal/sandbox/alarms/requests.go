package alarms

import "time"

// none is the answer of operations that answer nothing.
type none = struct{}

type putMetricInput struct {
	Common
	Measure
	Tags []Tag `json:"Tags"`
}

type putCompositeInput struct {
	Common
	Rule
	Tags []Tag `json:"Tags"`
}

type setStateInput struct {
	AlarmName       string `json:"AlarmName"`
	StateValue      string `json:"StateValue"`
	StateReason     string `json:"StateReason"`
	StateReasonData string `json:"StateReasonData"`
}

type namesInput struct {
	AlarmNames []string `json:"AlarmNames"`
}

type describeInput struct {
	AlarmNames          []string `json:"AlarmNames"`
	AlarmNamePrefix     string   `json:"AlarmNamePrefix"`
	AlarmTypes          []string `json:"AlarmTypes"`
	ChildrenOfAlarmName string   `json:"ChildrenOfAlarmName"`
	ParentsOfAlarmName  string   `json:"ParentsOfAlarmName"`
	StateValue          string   `json:"StateValue"`
	ActionPrefix        string   `json:"ActionPrefix"`
	MaxRecords          *int32   `json:"MaxRecords"`
	NextToken           string   `json:"NextToken"`
}

type describeOutput struct {
	CompositeAlarms []CompositeAlarm `json:"CompositeAlarms"`
	MetricAlarms    []MetricAlarm    `json:"MetricAlarms"`
	NextToken       string           `json:"NextToken,omitzero"`
}

type historyInput struct {
	AlarmName       string    `json:"AlarmName"`
	AlarmTypes      []string  `json:"AlarmTypes"`
	HistoryItemType string    `json:"HistoryItemType"`
	StartDate       time.Time `json:"StartDate"`
	EndDate         time.Time `json:"EndDate"`
	MaxRecords      *int32    `json:"MaxRecords"`
	NextToken       string    `json:"NextToken"`
	ScanBy          string    `json:"ScanBy"`
}

type historyOutput struct {
	AlarmHistoryItems []HistoryItem `json:"AlarmHistoryItems"`
	NextToken         string        `json:"NextToken,omitzero"`
}

type tagsInput struct {
	ResourceARN string   `json:"ResourceARN"`
	Tags        []Tag    `json:"Tags"`
	TagKeys     []string `json:"TagKeys"`
}

type tagsOutput struct {
	Tags []Tag `json:"Tags"`
}
