package balancer

import (
	"context"
	"slices"
	"strconv"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsquery"
)

// API is the ELBv2 API of the balancer.
func (b *Balancer) API() *awsquery.Service {
	s := awsquery.NewService("2015-12-01", "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/")
	handle(s, "CreateLoadBalancer", b.apiCreateBalancer)
	handle(s, "DescribeLoadBalancers", b.apiDescribeBalancers)
	handle(s, "DeleteLoadBalancer", b.apiDeleteBalancer)
	handle(s, "DescribeLoadBalancerAttributes", b.apiBalancerAttributes)
	handle(s, "ModifyLoadBalancerAttributes", b.apiModifyBalancerAttributes)
	handle(s, "CreateTargetGroup", b.apiCreateGroup)
	handle(s, "DescribeTargetGroups", b.apiDescribeGroups)
	handle(s, "ModifyTargetGroup", b.apiModifyGroup)
	handle(s, "DeleteTargetGroup", b.apiDeleteGroup)
	handle(s, "DescribeTargetGroupAttributes", b.apiGroupAttributes)
	handle(s, "ModifyTargetGroupAttributes", b.apiModifyGroupAttributes)
	handle(s, "RegisterTargets", b.apiRegister)
	handle(s, "DeregisterTargets", b.apiDeregister)
	handle(s, "DescribeTargetHealth", b.apiHealth)
	handle(s, "CreateListener", b.apiCreateListener)
	handle(s, "DescribeListeners", b.apiDescribeListeners)
	handle(s, "ModifyListener", b.apiModifyListener)
	handle(s, "DeleteListener", b.apiDeleteListener)
	handle(s, "CreateRule", b.apiCreateRule)
	handle(s, "DescribeRules", b.apiDescribeRules)
	handle(s, "ModifyRule", b.apiModifyRule)
	handle(s, "DeleteRule", b.apiDeleteRule)
	handle(s, "SetRulePriorities", b.apiSetPriorities)
	handle(s, "AddTags", b.apiAddTags)
	handle(s, "RemoveTags", b.apiRemoveTags)
	handle(s, "DescribeTags", b.apiDescribeTags)
	return s
}

func handle[In, Out any](s *awsquery.Service, operation string, do func(*In) (*Out, error)) {
	awsquery.Handle(s, operation, func(_ context.Context, in *In) (*Out, error) { return do(in) })
}

const maxPage = 400

// cut takes a page of a list; next is the marker of the following one.
func cut[T any](list []T, p page) (part []T, next string, err error) {
	size := maxPage
	if p.PageSize != nil {
		size = *p.PageSize
	}
	if size < 1 || size > maxPage {
		return nil, "", invalid("Page size '%d' must be between 1 and %d", size, maxPage)
	}
	from := 0
	if p.Marker != "" {
		if from, err = strconv.Atoi(p.Marker); err != nil || from < 0 || from > len(list) {
			return nil, "", invalid("The marker is not valid")
		}
	}
	to := min(from+size, len(list))
	if to < len(list) {
		next = strconv.Itoa(to)
	}
	return list[from:to], next, nil
}

// named picks what is asked for by ARN or name, all of it when nothing is. What
// is not there is an error.
func named[T any](all []*T, arns, names []string, is func(v *T, arn, name string) bool, missing func(string) error) ([]*T, error) {
	if len(arns)+len(names) == 0 {
		return all, nil
	}
	var list []*T
	for _, arn := range arns {
		v := find(all, func(v *T) bool { return is(v, arn, "") })
		if v == nil {
			return nil, missing(arn)
		}
		list = append(list, v)
	}
	for _, name := range names {
		v := find(all, func(v *T) bool { return is(v, "", name) })
		if v == nil {
			return nil, missing(name)
		}
		list = append(list, v)
	}
	return list, nil
}

type tagsInput struct {
	ResourceArns []string
	Tags         []pair
	TagKeys      []string
}

type tagsOutput struct{ TagDescriptions []taggedShape }

// tagged are the tags of whatever has an ARN.
func (b *Balancer) tagged(arn string) (*map[string]string, error) {
	if lb := b.balancerOf(arn); lb != nil {
		return &lb.Tags, nil
	}
	if g := b.group(arn); g != nil {
		return &g.Tags, nil
	}
	if l := b.listener(arn); l != nil {
		return &l.Tags, nil
	}
	if r := find(b.rules, func(r *rule) bool { return r.ARN == arn }); r != nil {
		return &r.Tags, nil
	}
	return nil, errOf(arn)
}

const maxTags = 50

func (b *Balancer) changeTags(arns []string, change func(map[string]string)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*map[string]string
	for _, arn := range arns {
		tags, err := b.tagged(arn)
		if err != nil {
			return err
		}
		all = append(all, tags)
	}
	for _, tags := range all {
		if *tags == nil {
			*tags = make(map[string]string)
		}
		change(*tags)
		if len(*tags) > maxTags {
			return refuse("TooManyTags", "The maximum number of tags has been reached")
		}
	}
	return nil
}

func (b *Balancer) apiAddTags(in *tagsInput) (*none, error) {
	return &none{}, b.changeTags(in.ResourceArns, func(tags map[string]string) {
		for _, t := range in.Tags {
			tags[t.Key] = t.Value
		}
	})
}

func (b *Balancer) apiRemoveTags(in *tagsInput) (*none, error) {
	return &none{}, b.changeTags(in.ResourceArns, func(tags map[string]string) {
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
	})
}

func (b *Balancer) apiDescribeTags(in *tagsInput) (*tagsOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := &tagsOutput{TagDescriptions: []taggedShape{}}
	for _, arn := range slices.Compact(slices.Clone(in.ResourceArns)) {
		tags, err := b.tagged(arn)
		if err != nil {
			return nil, err
		}
		out.TagDescriptions = append(out.TagDescriptions, taggedShape{arn, pairs(*tags)})
	}
	return out, nil
}
