package logstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// API serves CloudWatch Logs from the store.
func (s *Store) API() *awsjson.Service {
	svc := awsjson.NewService("Logs_20140328")
	awsjson.Handle(svc, "CreateLogGroup", s.createLogGroup)
	awsjson.Handle(svc, "DeleteLogGroup", s.deleteLogGroup)
	awsjson.Handle(svc, "PutRetentionPolicy", s.putRetentionPolicy)
	awsjson.Handle(svc, "DescribeLogGroups", s.describeLogGroups)
	awsjson.Handle(svc, "CreateLogStream", s.createLogStream)
	awsjson.Handle(svc, "DescribeLogStreams", s.describeLogStreams)
	awsjson.Handle(svc, "PutLogEvents", s.putLogEvents)
	awsjson.Handle(svc, "GetLogEvents", s.getLogEvents)
	awsjson.Handle(svc, "FilterLogEvents", s.filterLogEvents)
	return svc
}

func invalid(format string, a ...any) error {
	return &types.InvalidParameterException{Message: new(fmt.Sprintf(format, a...))}
}

// open finds the group that a request names, by its name or identifier. s.mu is
// held.
func (s *Store) open(name, identifier *string) (*group, error) {
	if name == nil {
		name = identifier
	}
	if name == nil {
		return nil, invalid("Either logGroupName or logGroupIdentifier must be specified.")
	}
	if g := s.groups[nameOf(*name)]; g != nil {
		return g, nil
	}
	return nil, &types.ResourceNotFoundException{Message: new("The specified log group does not exist.")}
}

// find returns a stream of the group.
func (g *group) find(name *string) (*stream, error) {
	if name == nil {
		return nil, invalid("1 validation error detected: Value null at 'logStreamName' failed to satisfy constraint: Member must not be null")
	}
	if st := g.streams[*name]; st != nil {
		return st, nil
	}
	return nil, &types.ResourceNotFoundException{Message: new("The specified log stream does not exist.")}
}

func (s *Store) createLogGroup(_ context.Context, in *cwl.CreateLogGroupInput) (*cwl.CreateLogGroupOutput, error) {
	if in.LogGroupName == nil {
		return nil, invalid("1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null")
	}
	err := s.CreateGroup(*in.LogGroupName)
	switch {
	case errors.Is(err, ErrExists):
		return nil, &types.ResourceAlreadyExistsException{Message: new("The specified log group already exists")}
	case err != nil:
		return nil, invalid("1 validation error detected: Value '%s' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+", *in.LogGroupName)
	}
	return &cwl.CreateLogGroupOutput{}, nil
}

func (s *Store) deleteLogGroup(_ context.Context, in *cwl.DeleteLogGroupInput) (*cwl.DeleteLogGroupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.open(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	delete(s.groups, g.name)
	return &cwl.DeleteLogGroupOutput{}, nil
}

func (s *Store) putRetentionPolicy(_ context.Context, in *cwl.PutRetentionPolicyInput) (*cwl.PutRetentionPolicyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.open(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	g.retention = in.RetentionInDays
	return &cwl.PutRetentionPolicyOutput{}, nil
}

func (s *Store) describeLogGroups(_ context.Context, in *cwl.DescribeLogGroupsInput) (*cwl.DescribeLogGroupsOutput, error) {
	if in.LogGroupNamePrefix != nil && in.LogGroupNamePattern != nil {
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(s.groups)), func(n string) bool {
		return in.LogGroupNamePrefix != nil && !strings.HasPrefix(n, *in.LogGroupNamePrefix) ||
			in.LogGroupNamePattern != nil && !strings.Contains(n, *in.LogGroupNamePattern)
	})
	shown, next, err := page(names, in.NextToken, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &cwl.DescribeLogGroupsOutput{LogGroups: []types.LogGroup{}, NextToken: next}
	for _, n := range shown {
		out.LogGroups = append(out.LogGroups, s.describeGroup(s.groups[n]))
	}
	return out, nil
}

func (s *Store) describeGroup(g *group) types.LogGroup {
	var stored int64
	for _, st := range g.streams {
		stored += int64(st.bytes)
	}
	return types.LogGroup{
		LogGroupName:      &g.name,
		Arn:               new(s.groupARN(g.name) + ":*"),
		LogGroupArn:       new(s.groupARN(g.name)),
		LogGroupClass:     types.LogGroupClassStandard,
		CreationTime:      new(g.created.UnixMilli()),
		RetentionInDays:   g.retention,
		MetricFilterCount: new(int32(0)),
		StoredBytes:       &stored,
	}
}

func (s *Store) createLogStream(_ context.Context, in *cwl.CreateLogStreamInput) (*cwl.CreateLogStreamOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.open(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	if in.LogStreamName == nil || *in.LogStreamName == "" || strings.ContainsAny(*in.LogStreamName, ":*") {
		return nil, invalid("1 validation error detected: Value at 'logStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*")
	}
	if g.streams[*in.LogStreamName] != nil {
		return nil, &types.ResourceAlreadyExistsException{Message: new("The specified log stream already exists")}
	}
	s.stream(g.name, *in.LogStreamName)
	return &cwl.CreateLogStreamOutput{}, nil
}

func (s *Store) describeLogStreams(_ context.Context, in *cwl.DescribeLogStreamsInput) (*cwl.DescribeLogStreamsOutput, error) {
	byTime := in.OrderBy == types.OrderByLastEventTime
	if byTime && in.LogStreamNamePrefix != nil {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.open(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	keys := g.streamKeys(byTime, in.LogStreamNamePrefix)
	if in.Descending != nil && *in.Descending {
		slices.Reverse(keys)
	}
	shown, next, err := page(keys, in.NextToken, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &cwl.DescribeLogStreamsOutput{LogStreams: []types.LogStream{}, NextToken: next}
	for _, k := range shown {
		out.LogStreams = append(out.LogStreams, s.describeStream(g, g.streams[k[strings.LastIndexByte(k, 0)+1:]]))
	}
	return out, nil
}

// streamKeys lists the streams in order; each key ends with the stream's name,
// after a zero byte where the order is by time.
func (g *group) streamKeys(byTime bool, prefix *string) []string {
	var keys []string
	for name, st := range g.streams {
		if prefix != nil && !strings.HasPrefix(name, *prefix) {
			continue
		}
		if byTime {
			at, _ := st.last()
			name = fmt.Sprintf("%020d\x00%s", at, name)
		}
		keys = append(keys, name)
	}
	slices.Sort(keys)
	return keys
}

func (s *Store) describeStream(g *group, st *stream) types.LogStream {
	d := types.LogStream{
		LogStreamName: &st.name,
		Arn:           new(s.groupARN(g.name) + ":log-stream:" + st.name),
		CreationTime:  new(st.created.UnixMilli()),
		//lint:ignore SA1019 streams are still answered with it
		StoredBytes: new(int64(0)), // always zero for streams since 2019
	}
	if len(st.events) > 0 {
		first, last := st.events[0], st.events[len(st.events)-1]
		d.FirstEventTimestamp, d.LastEventTimestamp = &first.at, &last.at
		d.LastIngestionTime = new(last.ingested.UnixMilli())
		d.UploadSequenceToken = new(sequenceToken(st))
	}
	return d
}

func sequenceToken(st *stream) string { return fmt.Sprintf("%056d", st.next) }
