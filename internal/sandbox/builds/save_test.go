package builds

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/snapshot"
)

func TestStore_everyFieldIsKeptOrNamed(t *testing.T) {
	notKept := map[string]string{"cfg": "is given", "mu": "is no state", "running": "is of this process"}
	k := reflect.TypeFor[kept]()
	for f := range reflect.TypeFor[Store]().Fields() {
		_, saved := k.FieldByName(f.Name)
		if _, named := notKept[f.Name]; saved == named {
			t.Errorf("Store.%s has to be in kept (save.go), or in notKept with the reason", f.Name)
		}
	}
	if err := snapshot.Check(k); err != nil {
		t.Error(err)
	}
}

func TestStore_Load_endsBuildsThatRan(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	stopped := false
	w.builds["images:1"] = &build{stop: func() { stopped = true }, Build: types.Build{
		Id: aws.String("images:1"), BuildStatus: types.StatusTypeInProgress, StartTime: &began, CurrentPhase: aws.String("BUILD")}}
	w.number = 1
	raw, err := w.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := newWorld(t)
	if err := again.Load(raw); err != nil {
		t.Fatal(err)
	}
	out, err := again.batchGetBuilds(context.Background(), &codebuild.BatchGetBuildsInput{Ids: []string{"images:1"}})
	if err != nil || len(out.Builds) != 1 || out.Builds[0].BuildStatus != types.StatusTypeFault || out.Builds[0].EndTime == nil {
		t.Errorf("the build is %+v, %v", out, err)
	}
	projects, err := again.batchGetProjects(context.Background(), &codebuild.BatchGetProjectsInput{Names: []string{"images"}})
	if err != nil || len(projects.Projects) != 1 || again.number != 1 || stopped {
		t.Errorf("the projects are %+v, %v; the number is %d", projects, err, again.number)
	}
	if err := again.Load([]byte(`{"more":1}`)); err == nil {
		t.Error("Load takes what it does not know")
	}
}
