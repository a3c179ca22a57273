package awsjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// moduleDir is where a module's source is on this machine.
func moduleDir(tb testing.TB, module string) string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		tb.Fatalf("go list -m %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}

var snapshotModules = map[string]string{
	"ECS":  "github.com/aws/aws-sdk-go-v2/service/ecs",
	"ECR":  "github.com/aws/aws-sdk-go-v2/service/ecr",
	"Logs": "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs",
}

// TestRequestSnapshots decodes the requests that the SDK modules carry for their
// own tests: every member of every operation set.
func TestRequestSnapshots(t *testing.T) {
	for _, s := range sdks {
		t.Run(s.name, func(t *testing.T) {
			inputs := make(map[string]reflect.Type)
			for m := range operations(s.client) {
				inputs[m.Name] = m.Type.In(2).Elem()
			}
			files, err := filepath.Glob(filepath.Join(moduleDir(t, snapshotModules[s.name]), "request_snapshot", "*.snap"))
			if err != nil || len(files) < 60 {
				t.Fatalf("found %d snapshots (%v), want one for each operation", len(files), err)
			}
			for _, file := range files {
				operation, body := readSnapshot(t, file)
				in := inputs[operation]
				if in == nil {
					t.Errorf("%s is of operation %q, which the client does not have", file, operation)
					continue
				}
				got := reflect.New(in)
				if err := Unmarshal(body, got.Interface()); err != nil {
					t.Errorf("decode %s: %v", filepath.Base(file), err)
				}
				if len(infoOf(in).fields) > 0 && got.Elem().IsZero() {
					t.Errorf("decode %s: nothing was read", filepath.Base(file))
				}
			}
		})
	}
}

// readSnapshot splits a snapshot, a request as text, into operation and body.
func readSnapshot(tb testing.TB, file string) (operation string, body []byte) {
	tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	head, body, _ := bytes.Cut(data, []byte("\n\n{"))
	for line := range bytes.Lines(head) {
		if target, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("X-Amz-Target: ")); ok {
			_, operation, _ = strings.Cut(string(target), ".")
		}
	}
	if len(body) > 0 {
		body = append([]byte("{"), body...)
	}
	return operation, body
}

// TestErrorShapes has the SDK recognise the errors that we send.
func TestErrorShapes(t *testing.T) {
	for _, err := range sampleErrors {
		t.Run(err.want, func(t *testing.T) {
			code, _, message := ErrorParts(err.err)
			if code != err.want || message != err.message {
				t.Errorf("ErrorParts(%v) = %q, %q; want %q, %q", err.err, code, message, err.want, err.message)
			}
			a := ErrorAnswer(err.err)
			if a.Status != err.status || string(a.Body) != err.body {
				t.Errorf("answer is %d %s\nwant %d %s", a.Status, a.Body, err.status, err.body)
			}
		})
	}
}

// TestResponseSnapshots reads the answers that the SDK modules carry for their own
// tests, every member of every operation set, and writes them as they were.
func TestResponseSnapshots(t *testing.T) {
	for _, s := range sdks {
		t.Run(s.name, func(t *testing.T) {
			outputs := make(map[string]reflect.Type)
			for m := range operations(s.client) {
				outputs[m.Name] = m.Type.Out(0).Elem()
			}
			files, err := filepath.Glob(filepath.Join(moduleDir(t, snapshotModules[s.name]), "response_snapshot", "*.response.snap"))
			if err != nil || len(files) < 60 {
				t.Fatalf("found %d snapshots (%v), want one for each operation", len(files), err)
			}
			for _, file := range files {
				operation, body := readSnapshot(t, file)
				if len(body) == 0 || s.events(operation) {
					continue
				}
				out := outputs[operation]
				if out == nil {
					t.Errorf("%s is of operation %q, which the client does not have", file, operation)
					continue
				}
				if err := rewrite(body, reflect.New(out).Interface()); err != nil {
					t.Errorf("%s: %v", filepath.Base(file), err)
				}
			}
		})
	}
}

// rewrite decodes an answer, encodes it and wants the same JSON.
func rewrite(body []byte, into any) error {
	if err := Unmarshal(body, into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	again, err := Marshal(into)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	var was, is any
	if err := errors.Join(json.Unmarshal(body, &was), json.Unmarshal(again, &is)); err != nil {
		return err
	}
	if d := cmp.Diff(was, is); d != "" {
		return fmt.Errorf("(-as the SDK has it +as we write it):\n%s", d)
	}
	return nil
}

// events says that an operation answers with a stream, which nobody serves.
func (s sdk) events(operation string) bool {
	return operation == "StartLiveTail" || operation == "GetLogObject"
}
