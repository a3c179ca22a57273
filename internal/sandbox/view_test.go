package sandbox

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
	"github.com/weelo/weelo-deploy/internal/sandbox/page"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// shop makes the cluster c with the service web of three tasks, whose log and
// image are the sandbox's own, and waits until it is steady.
func shop(t *testing.T, w *world) {
	t.Helper()
	ctx := t.Context()
	must(t)(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("c")}))
	must(t)(w.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("shop")}))
	must(t)(w.registry.PutTiny("shop", "v1", map[string][]byte{"app": []byte("program")}, registry.TinyConfig{Entrypoint: []string{"/app"}}))
	must(t)(w.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("/shop")}))
	w.runtime.Set("shop", scripted.Script{Lines: []scripted.Line{{Text: "listening <on> 8080"}}})
	image := w.Registry() + "/shop:v1"
	must(t)(w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: types.NetworkModeBridge, Cpu: aws.String("256"), Memory: aws.String("512"),
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("app"), Image: &image, PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(8080)}},
			HealthCheck: &types.HealthCheck{Command: []string{"CMD-SHELL", "true"}},
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": "/shop", "awslogs-stream-prefix": "ecs", "awslogs-region": "us-east-1"}},
		}},
	}))
	must(t)(w.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String("c"), ServiceName: aws.String("web"), TaskDefinition: aws.String("web"), DesiredCount: aws.Int32(3),
		DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}},
	}))
	await(t, "the service to be steady", func() bool {
		s := view{w.Server, ""}.Clusters()[0].Services[0]
		return s.Rollout == "COMPLETED" && s.Running == 3
	})
}

// must ends the test with a call's error.
func must(t *testing.T) func(any, error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// browse asks as a browser does, and presses buttons with a form.
func browse(t *testing.T, w *world, path string, form url.Values, headers ...string) (int, string) {
	t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, w.URL()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", w.URL())
	} else {
		r.Header.Set("Accept", "text/html")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := w.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// press presses a button of the service web.
func press(t *testing.T, w *world, do string, more ...string) {
	t.Helper()
	form := url.Values{"do": {do}, "cluster": {"c"}, "name": {"web"}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	if status, text := browse(t, w, "/_sandbox/press", form); status != http.StatusOK {
		t.Fatalf("%s is answered with %d %s", do, status, text)
	}
}

// human is a speed at which a task that dies at once does so before it is healthy.
const human = 50

func TestPage_showsAServiceThatBreaksAndIsRolledBack(t *testing.T) {
	w := start(t, Config{Speed: human})
	shop(t, w)
	_, html := browse(t, w, "/", nil)
	for _, want := range []string{"web:1", ">steady<", "<b>3/3</b>", "listening &lt;on&gt; 8080", "has reached a steady state.", "Create<wbr>Service", ">v1<", "running, healthy", "export AWS_ENDPOINT_URL=&#39;" + w.URL()} {
		if !strings.Contains(html, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	press(t, w, page.DoCrash)
	if list := w.faults.List(); len(list) != 1 || list[0].Task != "web" || *list[0].Exit != 139 {
		t.Fatalf("faults are %+v", list)
	}
	press(t, w, page.DoDeploy)
	await(t, "the page to show the rollback", func() bool {
		_, html = browse(t, w, "/", nil)
		return strings.Contains(html, ">rolled back<") && strings.Contains(html, ">steady<")
	})
	for _, want := range []string{"stopped, app exit 139 (SIGSEGV)", "acted 3×", "rolling back to deployment", "UpdateService"} {
		if !strings.Contains(html, want) {
			t.Errorf("after the rollback the page does not show %s", want)
		}
	}
	press(t, w, page.DoTakeBack, "fault", w.faults.List()[0].ID)
	if list := w.faults.List(); len(list) != 0 {
		t.Errorf("after it was taken back there is %+v", list)
	}
}

func TestPage_buttonsDoWhatTheySay(t *testing.T) {
	w := start(t, Config{})
	shop(t, w)
	press(t, w, page.DoNoPull)
	press(t, w, page.DoSlowHealth)
	press(t, w, page.DoThrottle)
	want := []string{`{"pull":"not-found","repository":"shop"}`, `{"task":"web","delay":"1m0s","health":"slow"}`, `{"when":"*","service":"ecs","times":20,"error":"ThrottlingException"}`}
	for i, f := range (view{w.Server, ""}).Faults() {
		if f.Rule != want[i] {
			t.Errorf("fault %d is %s, want %s", i, f.Rule, want[i])
		}
	}
	if status, text := browse(t, w, "/_sandbox/press", url.Values{"do": {page.DoDeploy}, "cluster": {"c"}, "name": {"web"}}); status != http.StatusConflict || text != "UpdateService: ThrottlingException: Rate exceeded\n" {
		t.Errorf("a throttled deployment is answered with %d %q", status, text)
	}
	press(t, w, page.DoTakeBack)
	if status, text := browse(t, w, "/_sandbox/press", url.Values{"do": {page.DoRollBack}, "cluster": {"c"}, "name": {"web"}}); status != http.StatusConflict || !strings.Contains(text, "SUCCESSFUL and cannot be stopped") {
		t.Errorf("a rollback of nothing is answered with %d %q", status, text)
	}
	id := view{w.Server, ""}.task(t)
	press(t, w, page.DoStopTask, "task", id)
	await(t, "the task to stop", func() bool {
		_, html := browse(t, w, "/", nil)
		return strings.Contains(html, "Stopped on the sandbox&#39;s page")
	})
}

func TestView_tellsWhereAContainerIsReached(t *testing.T) {
	inside := scheduler.Container{Ports: []task.Port{{ContainerPort: 8080, HostPort: 49153, HostIP: "127.0.0.1", Protocol: "tcp"}, {ContainerPort: 53, HostPort: 49154, Protocol: "udp"}, {ContainerPort: 81}}}
	tasks := viewTasks([]cluster.TaskInspection{{
		Task:       types.Task{TaskArn: aws.String("arn:aws:ecs:us-east-1:000000000000:task/c/0123"), DesiredStatus: aws.String("RUNNING"), Containers: []types.Container{{Name: aws.String("app"), ExitCode: aws.Int32(139)}}},
		Containers: []cluster.ContainerInspection{{Container: inside}},
	}})
	c := tasks[0].Containers[0]
	if tasks[0].ID != "0123" || !tasks[0].Live || *c.Exit != 139 || len(c.Ports) != 1 || c.Ports[0] != "127.0.0.1:49153" {
		t.Errorf("the task is %+v", tasks[0])
	}
}

// task is the id of a task of the service web.
func (v view) task(t *testing.T) string {
	t.Helper()
	d, ok := v.Service("c", "web")
	if !ok || len(d.Tasks) == 0 {
		t.Fatal("the service web has no task")
	}
	return d.Tasks[0].ID
}

func TestPage_isForBrowsersOfThisMachineOnly(t *testing.T) {
	w := start(t, Config{})
	for _, c := range []struct{ name, value string }{{"Origin", "http://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		if status, _ := browse(t, w, "/_sandbox/press", url.Values{"do": {page.DoThrottle}}, c.name, c.value); status != http.StatusForbidden {
			t.Errorf("a press with %s: %s is answered with %d", c.name, c.value, status)
		}
	}
	if list := w.faults.List(); len(list) != 0 {
		t.Errorf("faults are %+v", list)
	}
	if status, text := browse(t, w, "/", nil, "Accept", "*/*"); status != http.StatusOK || !strings.Contains(text, "Open "+w.URL()+" in a browser") {
		t.Errorf("what is no browser is answered with %d %q", status, text)
	}
}
