package onetask

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// runs answers RunTask by turns; the last answer stays.
func runs(answers ...any) func(int) (*ecs.RunTaskOutput, error) {
	return func(n int) (*ecs.RunTaskOutput, error) {
		switch a := answers[min(n, len(answers))-1].(type) {
		case error:
			return nil, a
		case string:
			return &ecs.RunTaskOutput{Failures: []types.Failure{{Arn: aws.String("arn:i"), Reason: aws.String(a)}}}, nil
		}
		return &ecs.RunTaskOutput{Tasks: []types.Task{running()}}, nil
	}
}

type good struct{}

func TestStart_repeatsWhatNobodyAnswered(t *testing.T) {
	for name, answers := range map[string][]any{
		"at once":                           {good{}},
		"after lost connections":            {errors.New("reset"), errors.New("reset"), good{}},
		"after throttling":                  {refused("ThrottlingException"), refused("ThrottlingException"), good{}},
		"once there is a place":             {"RESOURCE:MEMORY", "RESOURCE:MEMORY", good{}},
		"under a token that was used by it": {&types.ConflictException{ResourceIds: []string{taskARN}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &account{run: runs(answers...), state: func(time.Duration) types.Task { return running() }}
			inAccount(t, a, func(t *testing.T, r Runner) {
				k, err := r.Start(t.Context(), migrate)
				if err != nil || aws.ToString(k.TaskArn) != taskARN {
					t.Errorf("Start = %v, %v", k, err)
				}
				if a.runs != len(answers) {
					t.Errorf("RunTask was called %d times, want %d", a.runs, len(answers))
				}
			})
		})
	}
}

func TestStart_takesARefusalForOne(t *testing.T) {
	a := &account{run: runs(refused("InvalidParameterException"))}
	inAccount(t, a, func(t *testing.T, r Runner) {
		if _, err := r.Start(t.Context(), migrate); code(err) != "InvalidParameterException" || a.runs != 1 {
			t.Errorf("Start = %v after %d calls, want the refusal at once", err, a.runs)
		}
	})
	a = &account{run: runs("RESOURCE:CPU")}
	inAccount(t, a, func(t *testing.T, r Runner) {
		_, err := r.Start(t.Context(), migrate)
		var f *event.Failure
		if !errors.As(err, &f) || f.Reason != "RESOURCE:CPU" || !strings.Contains(f.Error(), "no place") {
			t.Errorf("Start = %v, want the reason", err)
		}
		if took := time.Since(a.began); took > 75*time.Second || took < 30*time.Second {
			t.Errorf("a place was waited for %s, want about a minute", took)
		}
	})
	a = &account{run: func(int) (*ecs.RunTaskOutput, error) { return &ecs.RunTaskOutput{}, nil }}
	inAccount(t, a, func(t *testing.T, r Runner) {
		if _, err := r.Start(t.Context(), migrate); err == nil || errors.Is(err, ErrUnanswered) {
			t.Errorf("Start = %v, want an answer that cannot be read", err)
		}
	})
}

func TestStart_looksForATaskThatNobodyAnsweredFor(t *testing.T) {
	ours := running()
	ours.StartedBy = &migrate.StartedBy
	a := &account{run: runs(errors.New("reset")), state: func(time.Duration) types.Task { return ours }, list: []string{taskARN}}
	inAccount(t, a, func(t *testing.T, r Runner) {
		if k, err := r.Start(t.Context(), migrate); err != nil || aws.ToString(k.TaskArn) != taskARN {
			t.Errorf("Start = %v, %v, want the task that shows", k, err)
		}
		m := migrate
		m.Known = []string{taskARN}
		if _, err := r.Start(t.Context(), m); !errors.Is(err, ErrUnanswered) {
			t.Errorf("Start = %v, want ErrUnanswered: the task that shows is an earlier one", err)
		}
	})
	a = &account{run: runs(errors.New("reset"))}
	inAccount(t, a, func(t *testing.T, r Runner) {
		if _, err := r.Start(t.Context(), migrate); !errors.Is(err, ErrUnanswered) || a.runs != startTries {
			t.Errorf("Start = %v after %d calls", err, a.runs)
		}
	})
}

func TestPlaceOf_namesEitherALaunchTypeOrAStrategy(t *testing.T) {
	s := types.Service{LaunchType: types.LaunchTypeFargate, PlatformVersion: aws.String("1.4.0")}
	if p := PlaceOf(s); p.LaunchType != types.LaunchTypeFargate || aws.ToString(p.PlatformVersion) != "1.4.0" {
		t.Errorf("place = %+v", p)
	}
	s.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT")}}
	if p := PlaceOf(s); p.LaunchType != "" || len(p.CapacityProviders) != 1 {
		t.Errorf("place = %+v, want the strategy alone", p)
	}
}
