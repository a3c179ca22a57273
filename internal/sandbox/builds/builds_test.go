package builds

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/logstore"
	"github.com/weelo/weelo-deploy/internal/sandbox/objects"
)

// world is CodeBuild and S3 behind a listener, seen by the SDK's own client.
type world struct {
	*Store
	url    string
	client *codebuild.Client
	logs   *logstore.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	logs := logstore.New("000000000000", "us-east-1", nil)
	store := objects.New("us-east-1", "", false)
	t.Cleanup(func() { _ = store.Close() })
	w := &world{logs: logs, Store: New(Config{Account: "000000000000", Region: "us-east-1", Now: time.Now, Logs: logs, Objects: store,
		Env: func() []string { return []string{"PATH=" + os.Getenv("PATH"), "GREETING=hello"} }})}
	if err := w.AddProject(Project{Name: "images", Source: "sources/a.zip"}); err != nil {
		t.Fatal(err)
	}
	mux := &awsjson.Mux{}
	mux.Add("codebuild", w.API())
	all := http.NewServeMux()
	all.Handle("POST /{$}", mux)
	all.Handle("/", store.Handler(mux.Do))
	server := httptest.NewServer(all)
	t.Cleanup(server.Close)
	t.Cleanup(w.Close)
	w.url = server.URL
	w.client = codebuild.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: &w.url, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	return w
}

// request sends an S3 request, signed when it is to be.
func (w *world) request(t *testing.T, method, path string, body []byte, signed bool) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if signed {
		req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, req, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func zipOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) start(t *testing.T, spec string) string {
	t.Helper()
	out, err := w.client.StartBuild(t.Context(), &codebuild.StartBuildInput{ProjectName: aws.String("images"), BuildspecOverride: &spec})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Build.Id
}

// await looks until the build is as it should be.
func (w *world) await(t *testing.T, id string, as func(types.Build) bool) types.Build {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	for {
		out, err := w.client.BatchGetBuilds(ctx, &codebuild.BatchGetBuildsInput{Ids: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		if as(out.Builds[0]) {
			return out.Builds[0]
		}
		<-every.C
	}
}

func complete(b types.Build) bool { return b.BuildComplete }

func (w *world) log(t *testing.T, b types.Build) string {
	t.Helper()
	mux := &awsjson.Mux{}
	mux.Add("logs", w.logs.API())
	server := httptest.NewServer(mux)
	defer server.Close()
	client := cloudwatchlogs.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	out, err := client.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: b.Logs.GroupName, LogStreamName: b.Logs.StreamName, StartFromHead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, e := range out.Events {
		text.WriteString(*e.Message + "\n")
	}
	return text.String()
}

func TestABuildRunsItsCommandsOnItsSource(t *testing.T) {
	w := newWorld(t)
	if code := w.request(t, http.MethodPut, "/sources/a.zip", zipOf(t, map[string]string{"dir/a.txt": "from the source\n"}), true); code != http.StatusOK {
		t.Fatalf("PUT answered %d", code)
	}
	id := w.start(t, "version: 0.2\nenv: {exported-variables: [DIGEST, UNSET]}\nphases:\n  build:\n    commands: [cat dir/a.txt, 'DIGEST=\"$GREETING=$(echo x)\"', export DIGEST]\n")
	b := w.await(t, id, complete)
	if b.BuildStatus != types.StatusTypeSucceeded || len(b.ExportedEnvironmentVariables) != 1 || *b.ExportedEnvironmentVariables[0].Value != "hello=x" {
		t.Errorf("the build is %s and exports %+v\n%s", b.BuildStatus, b.ExportedEnvironmentVariables, w.log(t, b))
	}
	if got := w.log(t, b); !strings.Contains(got, "[Container] from the source\n") {
		t.Errorf("the log is\n%s", got)
	}
}

func TestABuildFailsWithItsCommandAndItsSource(t *testing.T) {
	w := newWorld(t)
	outside := filepath.Join(t.TempDir(), "x")
	for name, c := range map[string]struct {
		source []byte
		spec   string
	}{
		"a command that fails":            {zipOf(t, map[string]string{"a": "a"}), "version: 0.2\nphases: {build: {commands: [exit 3, touch " + outside + "]}}\n"},
		"a source that is no archive":     {[]byte("text"), "version: 0.2\nphases: {build: {commands: [touch " + outside + "]}}\n"},
		"a name that leaves the folder":   {zipOf(t, map[string]string{"../../x": "x"}), "version: 0.2\nphases: {build: {commands: [touch " + outside + "]}}\n"},
		"a buildspec with a typing error": {zipOf(t, map[string]string{"a": "a"}), "version: 0.2\nphase: {}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w.request(t, http.MethodPut, "/sources/a.zip", c.source, true)
			b := w.await(t, w.start(t, c.spec), complete)
			if b.BuildStatus != types.StatusTypeFailed || len(b.Phases[len(b.Phases)-1].Contexts) == 0 {
				t.Errorf("the build is %s, phases %+v", b.BuildStatus, b.Phases)
			}
			if _, err := os.Stat(outside); err == nil {
				t.Error("a command ran that should not have")
			}
		})
	}
}

func TestStopBuildEndsWhatItStarted(t *testing.T) {
	w := newWorld(t)
	w.request(t, http.MethodPut, "/sources/a.zip", zipOf(t, map[string]string{"a": "a"}), true)
	id := w.start(t, "version: 0.2\nphases: {build: {commands: ['sleep 600 & sleep 600']}}\n")
	w.await(t, id, func(b types.Build) bool { return aws.ToString(b.CurrentPhase) == "BUILD" })
	if _, err := w.client.StopBuild(t.Context(), &codebuild.StopBuildInput{Id: &id}); err != nil {
		t.Fatal(err)
	}
	if b := w.await(t, id, complete); b.BuildStatus != types.StatusTypeStopped {
		t.Errorf("the build is %s", b.BuildStatus)
	}
	w.Close() // returns when nothing runs any more
}

func TestWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	var missing *types.ResourceNotFoundException
	if _, err := w.client.StartBuild(t.Context(), &codebuild.StartBuildInput{ProjectName: aws.String("none"), BuildspecOverride: aws.String("x")}); !errors.As(err, &missing) {
		t.Errorf("StartBuild = %v", err)
	}
	if _, err := w.client.StopBuild(t.Context(), &codebuild.StopBuildInput{Id: aws.String("none:1")}); !errors.As(err, &missing) {
		t.Errorf("StopBuild = %v", err)
	}
	out, err := w.client.BatchGetProjects(t.Context(), &codebuild.BatchGetProjectsInput{Names: []string{"images", "none"}})
	if err != nil || len(out.Projects) != 1 || out.ProjectsNotFound[0] != "none" {
		t.Errorf("BatchGetProjects = %+v, %v", out, err)
	}
	for name, c := range map[string]struct {
		method, path string
		signed       bool
		want         int
	}{
		"a bucket that is there":   {http.MethodHead, "/sources", false, 200},
		"a bucket that is not":     {http.MethodHead, "/other", false, 404},
		"an object that is not":    {http.MethodGet, "/sources/x", false, 404},
		"a put without signature":  {http.MethodPut, "/sources/x", false, 403},
		"a put to no bucket":       {http.MethodPut, "/other/x", true, 404},
		"a list of buckets":        {http.MethodGet, "/sources", false, 501},
		"the removal of an object": {http.MethodDelete, "/sources/x", false, 200},
	} {
		if got := w.request(t, c.method, c.path, nil, c.signed); got != c.want {
			t.Errorf("%s: %s %s answers %d, want %d", name, c.method, c.path, got, c.want)
		}
	}
}
