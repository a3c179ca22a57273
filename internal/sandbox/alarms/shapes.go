package alarms

import "time"

// The shapes are CloudWatch's, by their names on the wire. A tag stands for all
// three protocols.

// States of an alarm.
const (
	OK               = "OK"
	Alarm            = "ALARM"
	InsufficientData = "INSUFFICIENT_DATA"
)

// Kinds of alarms.
const (
	metricKind    = "MetricAlarm"
	compositeKind = "CompositeAlarm"
)

// Common is what both kinds of alarms have, and what is set with them.
type Common struct {
	AlarmName               string   `json:"AlarmName"`
	AlarmDescription        string   `json:"AlarmDescription,omitzero"`
	ActionsEnabled          *bool    `json:"ActionsEnabled,omitzero"`
	OKActions               []string `json:"OKActions,omitzero"`
	AlarmActions            []string `json:"AlarmActions,omitzero"`
	InsufficientDataActions []string `json:"InsufficientDataActions,omitzero"`

	ActionConfiguration *ActionConfiguration `json:"ActionConfiguration,omitzero"`
}

// Standing is what an alarm has by itself: its ARN, its state and their times.
type Standing struct {
	AlarmArn                           string    `json:"AlarmArn"`
	AlarmConfigurationUpdatedTimestamp time.Time `json:"AlarmConfigurationUpdatedTimestamp"`
	StateValue                         string    `json:"StateValue"`
	StateReason                        string    `json:"StateReason,omitzero"`
	StateReasonData                    string    `json:"StateReasonData,omitzero"`
	StateUpdatedTimestamp              time.Time `json:"StateUpdatedTimestamp"`
	StateTransitionedTimestamp         time.Time `json:"StateTransitionedTimestamp"`
}

// Measure is what a metric alarm compares. It is kept and shown, and never
// evaluated.
type Measure struct {
	MetricName                       string        `json:"MetricName,omitzero"`
	Namespace                        string        `json:"Namespace,omitzero"`
	Statistic                        string        `json:"Statistic,omitzero"`
	ExtendedStatistic                string        `json:"ExtendedStatistic,omitzero"`
	Dimensions                       []Dimension   `json:"Dimensions,omitzero"`
	Period                           *int32        `json:"Period,omitzero"`
	Unit                             string        `json:"Unit,omitzero"`
	EvaluationPeriods                *int32        `json:"EvaluationPeriods,omitzero"`
	DatapointsToAlarm                *int32        `json:"DatapointsToAlarm,omitzero"`
	Threshold                        *float64      `json:"Threshold,omitzero"`
	ComparisonOperator               string        `json:"ComparisonOperator,omitzero"`
	TreatMissingData                 string        `json:"TreatMissingData,omitzero"`
	EvaluateLowSampleCountPercentile string        `json:"EvaluateLowSampleCountPercentile,omitzero"`
	Metrics                          []MetricQuery `json:"Metrics,omitzero"`
	ThresholdMetricID                string        `json:"ThresholdMetricId,omitzero"`
	EvaluationCriteria               *Criteria     `json:"EvaluationCriteria,omitzero"`
	EvaluationInterval               *int32        `json:"EvaluationInterval,omitzero"`
	EvaluationWindow                 *Window       `json:"EvaluationWindow,omitzero"`
	WarmUpConfiguration              *WarmUp       `json:"WarmUpConfiguration,omitzero"`
}

// ActionConfiguration says what actions are told of the alarm's tags.
type ActionConfiguration struct {
	AlarmTagsPropagation *TagsPropagation `json:"AlarmTagsPropagation,omitzero"`
}

// TagsPropagation is which tags actions are told.
type TagsPropagation struct {
	Enabled         *bool    `json:"Enabled,omitzero"`
	ExcludedTagKeys []string `json:"ExcludedTagKeys,omitzero"`
	IncludedTagKeys []string `json:"IncludedTagKeys,omitzero"`
}

// Window is over which time an alarm looks; one of the two.
type Window struct {
	SlidingWindow   *struct{}        `json:"SlidingWindow,omitzero"`
	WallClockWindow *WallClockWindow `json:"WallClockWindow,omitzero"`
}

// WallClockWindow is a window that begins at whole hours of a time zone.
type WallClockWindow struct {
	Timezone string `json:"Timezone,omitzero"`
}

// WarmUp is the time before an alarm's first verdict.
type WarmUp struct {
	WarmUpPeriodDurationInMinutes            *int32 `json:"WarmUpPeriodDurationInMinutes,omitzero"`
	OnlyStartEvaluatingAfterWarmUpPeriodEnds *bool  `json:"OnlyStartEvaluatingAfterWarmUpPeriodEnds,omitzero"`
}

// Dimension narrows a metric.
type Dimension struct {
	Name  string `json:"Name"`
	Value string `json:"Value"`
}

// MetricQuery is one of the metrics or expressions of a metric alarm.
type MetricQuery struct {
	ID         string      `json:"Id"`
	MetricStat *MetricStat `json:"MetricStat,omitzero"`
	Expression string      `json:"Expression,omitzero"`
	Label      string      `json:"Label,omitzero"`
	ReturnData *bool       `json:"ReturnData,omitzero"`
	Period     *int32      `json:"Period,omitzero"`
	AccountID  string      `json:"AccountId,omitzero"`
}

// MetricStat is a metric with its statistic.
type MetricStat struct {
	Metric *Metric `json:"Metric,omitzero"`
	Period *int32  `json:"Period,omitzero"`
	Stat   string  `json:"Stat,omitzero"`
	Unit   string  `json:"Unit,omitzero"`
}

// Metric names a metric.
type Metric struct {
	Namespace  string      `json:"Namespace,omitzero"`
	MetricName string      `json:"MetricName,omitzero"`
	Dimensions []Dimension `json:"Dimensions,omitzero"`
}

// Criteria is the other way to say when an alarm goes off.
type Criteria struct {
	PromQLCriteria *PromQL `json:"PromQLCriteria,omitzero"`
}

// PromQL is a query with its periods.
type PromQL struct {
	Query          string `json:"Query"`
	PendingPeriod  *int32 `json:"PendingPeriod,omitzero"`
	RecoveryPeriod *int32 `json:"RecoveryPeriod,omitzero"`
}

// Rule is what a composite alarm follows. Its suppressor is kept and shown only,
// since there are no actions here to suppress.
type Rule struct {
	AlarmRule                        string `json:"AlarmRule"`
	ActionsSuppressor                string `json:"ActionsSuppressor,omitzero"`
	ActionsSuppressorWaitPeriod      *int32 `json:"ActionsSuppressorWaitPeriod,omitzero"`
	ActionsSuppressorExtensionPeriod *int32 `json:"ActionsSuppressorExtensionPeriod,omitzero"`
}

// MetricAlarm is a metric alarm as it is described.
type MetricAlarm struct {
	Common
	Standing
	Measure
}

// CompositeAlarm is a composite alarm as it is described.
type CompositeAlarm struct {
	Common
	Standing
	Rule
}

// Tag is a tag.
type Tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

// HistoryItem is something that happened to an alarm.
type HistoryItem struct {
	AlarmName       string    `json:"AlarmName"`
	AlarmType       string    `json:"AlarmType"`
	Timestamp       time.Time `json:"Timestamp"`
	HistoryItemType string    `json:"HistoryItemType"`
	HistorySummary  string    `json:"HistorySummary"`
	HistoryData     string    `json:"HistoryData"`
}
