package alarms

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// How CloudWatch's calls are told from those of others.
const (
	Service      = "GraniteServiceVersion20100801" // in paths and in X-Amz-Target
	QueryVersion = "2010-08-01"                    // in forms
	shortName    = "cloudwatch"                    // in logs and faults
)

// API serves CloudWatch.
type API struct {
	operations map[string]operation
	do         Do
}

// Do runs a call through the faults and the log of calls.
type Do func(ctx context.Context, c awsjson.Call, next func(context.Context) awsjson.Answer) awsjson.Answer

// operation answers one call, in whatever protocol decode reads.
type operation func(decode func(into any) error) (any, error)

func handle[I, O any](f func(*I) (*O, error)) operation {
	return func(decode func(any) error) (any, error) {
		in := new(I)
		if err := decode(in); err != nil {
			return nil, err
		}
		return f(in)
	}
}

// API returns what serves the store.
func (s *Store) API(do Do) *API {
	return &API{do: do, operations: map[string]operation{
		"DeleteAlarms":         handle(s.remove),
		"DescribeAlarmHistory": handle(s.history),
		"DescribeAlarms":       handle(s.describe),
		"DisableAlarmActions":  handle(s.actions(false)),
		"EnableAlarmActions":   handle(s.actions(true)),
		"ListTagsForResource":  handle(s.listTags),
		"PutCompositeAlarm":    handle(s.putComposite),
		"PutMetricAlarm":       handle(s.putMetric),
		"SetAlarmState":        handle(s.setState),
		"TagResource":          handle(s.tag),
		"UntagResource":        handle(s.untag),
	}}
}

// Operations lists the operations there are.
func (a *API) Operations() []string { return slices.Sorted(maps.Keys(a.operations)) }

// ServeHTTP answers a call in CBOR, whose operation is in the path, or in JSON,
// where X-Amz-Target has it.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, name := jsonProtocol, ""
	if r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" {
		p, name = cborProtocol, r.PathValue("operation")
	} else {
		_, name, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	}
	body, err := awsjson.ReadBody(w, r)
	if err != nil {
		awsjson.Write(w, p.refuse(err))
		return
	}
	awsjson.Write(w, a.call(r.Context(), p, name, body))
}

// Query answers a call whose form was read already.
func (a *API) Query(ctx context.Context, name string, body []byte) awsjson.Answer {
	return a.call(ctx, queryProtocol, name, body)
}

func (a *API) call(ctx context.Context, p protocol, name string, body []byte) awsjson.Answer {
	c := awsjson.Call{Service: shortName, Operation: name, Body: body, Refuse: p.refuse}
	return a.do(ctx, c, func(context.Context) awsjson.Answer {
		do := a.operations[name]
		if do == nil {
			return p.refuse(awsjson.Errorf(p.unknown, http.StatusBadRequest, "The operation CloudWatch.%s is not available here.", name))
		}
		out, err := do(func(into any) error { return p.decode(body, into) })
		if err != nil {
			return p.refuse(err)
		}
		answer, err := p.encode(name, out)
		if err != nil {
			return p.refuse(err)
		}
		return answer
	})
}
