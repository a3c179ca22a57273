package sandbox

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// released is a sandbox with a state, a repository and a service of it that serves.
func released(t *testing.T, dir string) *world {
	t.Helper()
	w := start(t, Config{State: dir, Account: "318774499084", Region: "ap-south-1"})
	ctx := t.Context()
	if _, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("c")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("web")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Images().PutTiny("web", "v1", map[string][]byte{"app": nil}, registry.TinyConfig{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("g")}); err != nil {
		t.Fatal(err)
	}
	w.Logs().Append("g", "s", w.cfg.Now(), "a line")
	serviceOf(t, w, w.Registry()+"/web:v1", 2)
	w.steady(t, 2)
	return w
}

// steady waits until the service runs n tasks and nothing else.
func (w *world) steady(t *testing.T, n int32) types.Service {
	t.Helper()
	for {
		out, err := w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"web"}})
		if err != nil || len(out.Services) != 1 {
			t.Fatalf("DescribeServices = %+v, %v", out, err)
		}
		if s := out.Services[0]; s.RunningCount == n && len(s.Deployments) == 1 && s.Deployments[0].RolloutState == types.DeploymentRolloutStateCompleted {
			return s
		}
	}
}

func (w *world) close(t *testing.T) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestServer_goesOnFromItsState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	w := released(t, dir)
	old := w.Registry()
	w.close(t)

	taken, err := net.Listen("tcp4", old) // so it has to listen elsewhere
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	planted := &seed.Seed{Clusters: []seed.Cluster{{Name: "of the seed"}}}
	w = start(t, Config{State: dir, KeepAddress: true, Seed: planted})
	if !w.Resumed() || w.Account() != "318774499084" || w.Region() != "ap-south-1" || w.Registry() == old {
		t.Errorf("it goes on: %v, as %s in %s on %s, before on %s", w.Resumed(), w.Account(), w.Region(), w.Registry(), old)
	}
	s := w.steady(t, 2)
	for _, spec := range w.runtime.Started() {
		if image := spec.Containers[0].Image; !strings.HasPrefix(image, w.Registry()+"/web@sha256:") {
			t.Errorf("a task runs %s, want the image at %s", image, w.Registry())
		}
	}
	ctx := t.Context()
	if _, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), ForceNewDeployment: true}); err != nil {
		t.Fatal(err)
	}
	if after := w.steady(t, 2); *after.Deployments[0].Id == *s.Deployments[0].Id {
		t.Error("no deployment was begun")
	}
	lines, err := w.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("s")})
	if err != nil || len(lines.Events) != 1 || *lines.Events[0].Message != "a line" {
		t.Errorf("the log is %+v, %v", lines, err)
	}
	if out, err := w.ecs.ListClusters(ctx, &ecs.ListClustersInput{}); err != nil || len(out.ClusterArns) != 1 {
		t.Errorf("the clusters are %v, %v; want the state's alone", out.ClusterArns, err)
	}
}

func TestServer_listensWhereItsStateWas(t *testing.T) {
	dir := t.TempDir()
	w := start(t, Config{State: dir})
	old := w.Registry()
	w.close(t)
	if w = start(t, Config{State: dir, KeepAddress: true}); w.Registry() != old {
		t.Errorf("it listens on %s, before on %s", w.Registry(), old)
	}
	w.close(t)
	if w = start(t, Config{State: dir}); w.Registry() == old {
		t.Errorf("it listens on %s although another address was asked for", old)
	}
}

// TestServer_writesItsStateWhileItRuns copies the state of a sandbox that was
// not closed: what a kill would leave.
func TestServer_writesItsStateWhileItRuns(t *testing.T) {
	dir, killed := t.TempDir(), t.TempDir()
	released(t, dir)
	for {
		if raw, err := os.ReadFile(filepath.Join(dir, "state.json")); err != nil {
			t.Fatal(err)
		} else if parts := partOf(t, dir, raw, "ecs"); strings.Contains(parts, "has reached a steady state") {
			break
		}
	}
	copied := filepath.Join(killed, "copy")
	for !copyState(t, dir, copied) { // it was written meanwhile
		if err := os.RemoveAll(copied); err != nil {
			t.Fatal(err)
		}
	}
	w := start(t, Config{State: copied})
	w.steady(t, 2)
}

// copyState copies a state as it is in one moment; it reports false when it was
// written while it was copied.
func copyState(t *testing.T, from, to string) bool {
	t.Helper()
	before, err := os.ReadFile(filepath.Join(from, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); errors.Is(err, os.ErrNotExist) {
		return false
	} else if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(from, "state.json"))
	return err == nil && string(before) == string(after)
}

// partOf reads a part that state.json names; empty when the next state is there
// already.
func partOf(t *testing.T, dir string, manifest []byte, name string) string {
	t.Helper()
	var m struct{ Parts map[string]string }
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "parts", name+"-"+m.Parts[name][:16]))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(raw)
}

func TestStart_refusesAStateThatItCannotUse(t *testing.T) {
	dir := t.TempDir()
	w := start(t, Config{State: dir})
	w.objects.CreateBucket("conf")
	if err := w.objects.Put("conf", "k", []byte("a")); err != nil {
		t.Fatal(err)
	}
	refuse := func(cfg Config, want error, text string) {
		t.Helper()
		cfg.State, cfg.Runtime, cfg.Listen = dir, scripted.New(), "127.0.0.1:0"
		s, err := Start(t.Context(), cfg)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("Start = %v, want %v that names %s", err, want, text)
		}
	}
	refuse(Config{}, ErrStateInUse, dir)
	w.close(t)
	refuse(Config{Region: "ap-south-1"}, ErrStateOwner, "us-east-1")
	refuse(Config{Account: "111111111111"}, ErrStateOwner, "000000000000")

	manifest := filepath.Join(dir, "state.json")
	good, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(manifest, strings.Replace(string(good), `"version": 1`, `"version": 2`, 1))
	refuse(Config{}, ErrStateVersion, manifest)
	write(manifest, string(good[:len(good)/2]))
	refuse(Config{}, ErrStateDamaged, manifest)
	write(manifest, string(good))
	parts, err := filepath.Glob(filepath.Join(dir, "parts", "ecs-*"))
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	part, err := os.ReadFile(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	write(parts[0], string(part)+" ")
	refuse(Config{}, ErrStateDamaged, parts[0])
	write(parts[0], string(part))
	repositories := filepath.Join(dir, "registry", "repositories.json")
	write(repositories, "{")
	refuse(Config{}, ErrStateDamaged, "repositories.json")
	write(repositories, "{}")
	files, err := filepath.Glob(filepath.Join(dir, "objects", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	write(files[0], "more than it was")
	refuse(Config{}, ErrStateDamaged, files[0])
	write(files[0], "a")
	start(t, Config{State: dir}) // and nothing was lost
}

func TestStart_leavesAFolderAloneThatIsNoState(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{State: dir, Runtime: scripted.New(), Listen: "127.0.0.1:0"})
	if !errors.Is(err, ErrStateForeign) {
		t.Errorf("Start = %v, want %v", err, ErrStateForeign)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

func TestStart_aSeedThatFailsLeavesTheStateEmpty(t *testing.T) {
	dir := t.TempDir()
	bad := &seed.Seed{Clusters: []seed.Cluster{{Name: "c"}}, Repositories: []seed.Repository{{Name: "web", Images: []seed.Image{{From: "nothing"}}}}}
	if _, err := Start(t.Context(), Config{State: dir, Seed: bad, Runtime: scripted.New(), Listen: "127.0.0.1:0"}); err == nil {
		t.Fatal("the seed was planted without an engine")
	}
	w := start(t, Config{State: dir, Seed: &seed.Seed{Clusters: []seed.Cluster{{Name: "c"}}}})
	if out, err := w.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil || len(out.ClusterArns) != 1 || w.Resumed() {
		t.Errorf("the clusters are %v, %v", out.ClusterArns, err)
	}
}
