package cluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// values are parameters and objects of a test, by what names them.
type values map[string]string

func (v values) Value(from string) (string, error) {
	if s, ok := v[from]; ok {
		return s, nil
	}
	return "", errors.New("unable to retrieve secrets from ssm: invalid parameters: " + from)
}

func (v values) Get(location string) ([]byte, error) {
	if s, ok := v[location]; ok {
		return []byte(s), nil
	}
	return nil, errors.New("NoSuchKey: The specified key does not exist.")
}

func given(v values, isolated bool) func(*Config) {
	return func(c *Config) { c.Secrets, c.Objects, c.Isolated = v, v, isolated }
}

// rich is a container with a variable, two files and a secret.
func rich(c *types.ContainerDefinition) {
	c.Environment = []types.KeyValuePair{{Name: aws.String("COLOR"), Value: aws.String("red")}}
	for _, key := range []string{"one.env", "two.env"} {
		c.EnvironmentFiles = append(c.EnvironmentFiles, types.EnvironmentFile{Type: types.EnvironmentFileTypeS3, Value: aws.String("arn:aws:s3:::conf/" + key)})
	}
	c.Secrets = []types.Secret{{Name: aws.String("TOKEN"), ValueFrom: aws.String("/token")}}
}

func TestEnvironment_OfFilesAndSecrets(t *testing.T) {
	stored := values{
		"conf/one.env": "# a comment\nCOLOR=blue\r\nSHAPE=\"round one\"\n=none\nnonsense\nEMPTY=\nSIZE=1\n",
		"conf/two.env": "SIZE=2\nLAST=a=b",
		"/token":       "open sesame",
	}
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1", rich)))
		w.pass(time.Minute)
		var got []string
		for _, e := range w.rt.Started()[0].Containers[0].Env {
			if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "ECS_") {
				got = append(got, e)
			}
		}
		if want := []string{"COLOR=red", `SHAPE="round one"`, "EMPTY=", "SIZE=1", "LAST=a=b", "TOKEN=open sesame"}; !slices.Equal(got, want) {
			t.Errorf("environment = %q, want %q", got, want)
		}
	}, given(stored, false))
}

func TestEnvironment_WhatIsMissingFailsTheStart(t *testing.T) {
	for want, stored := range map[string]values{
		"ResourceInitializationError: failed to download env files: file download command: non empty error stream: error while downloading env file: arn:aws:s3:::conf/two.env: NoSuchKey": {"conf/one.env": "", "/token": "x"},
		"ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: invalid parameters: /token":       {"conf/one.env": "", "conf/two.env": ""},
	} {
		inWorld(t, func(w *world) {
			w.create(w.register(container("web:1", rich)))
			w.pass(time.Minute)
			stopped := w.tasks(types.DesiredStatusStopped)
			if len(stopped) == 0 || !strings.HasPrefix(*stopped[0].StoppedReason, want) || stopped[0].StopCode != types.TaskStopCodeTaskFailedToStart {
				t.Errorf("stopped tasks %+v, want the reason %q", stopped, want)
			}
			if len(w.rt.Started()) != 0 {
				t.Error("the runtime was asked to start the task")
			}
		}, given(stored, false))
	}
}

func TestEnvironment_ARehearsalNeedsNoValues(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1", rich)))
		w.pass(time.Minute)
		if env := w.rt.Started()[0].Containers[0].Env; !slices.Contains(env, "TOKEN="+placeholder) || !slices.Contains(env, "COLOR=red") {
			t.Errorf("environment = %q", env)
		}
	}, given(values{}, true))
}
