package throttle

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// Limits are the buckets of an account in a region. Its methods may be called
// concurrently.
type Limits struct {
	classes map[string]string // "ecs.UpdateService" → class
	rates   map[string]Rate   // by class

	mu      sync.Mutex
	buckets map[string]bucket // by class
}

// New returns full buckets with a region's rates.
func New(region string) *Limits {
	l := &Limits{classes: make(map[string]string), rates: make(map[string]Rate), buckets: make(map[string]bucket)}
	for _, c := range ecsClasses {
		l.add("ecs", c)
	}
	for service, rates := range map[string]map[string]float64{"ecr": ecrRates, "logs": logsRates, "cloudwatch": alarmRates} {
		for operation, perSecond := range rates {
			l.add(service, class{operation, Rate{perSecond, perSecond}, []string{operation}})
		}
	}
	for operation, perSecond := range logsOf(region) {
		l.add("logs", class{operation, Rate{perSecond, perSecond}, []string{operation}})
	}
	return l
}

func (l *Limits) add(service string, c class) {
	l.rates[service+" "+c.name] = c.Rate
	for _, operation := range c.operations {
		l.classes[service+"."+operation] = service + " " + c.name
	}
}

// Allow takes a token for a call and says whether there was one. Calls that no
// bucket is known for are allowed.
func (l *Limits) Allow(service, operation string) bool {
	class, known := l.classes[service+"."+operation]
	if !known {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	after, ok := l.rates[class].take(l.buckets[class], time.Now())
	l.buckets[class] = after
	return ok
}

// Intercept refuses what comes too fast before next sees it.
func (l *Limits) Intercept(next awsjson.Interceptor) awsjson.Interceptor {
	return func(ctx context.Context, c awsjson.Call, do func(context.Context) awsjson.Answer) awsjson.Answer {
		if !l.Allow(c.Service, c.Operation) {
			return c.Refuse(awsjson.Errorf("ThrottlingException", http.StatusBadRequest, "Rate exceeded"))
		}
		return next(ctx, c, do)
	}
}
