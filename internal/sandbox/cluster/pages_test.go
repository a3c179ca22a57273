package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// lister is one operation that lists in pages.
type lister struct {
	name  string
	usual int // results of a page when nothing is said
	total int
	page  func(ctx context.Context, w *world, token *string, max *int32) (items []string, next *string, err error)
}

// listers are all of them, over what [busy] makes.
var listers = []lister{
	{"ListClusters", 100, 12, func(ctx context.Context, w *world, token *string, max *int32) ([]string, *string, error) {
		out, err := w.ecs.ListClusters(ctx, &ecs.ListClustersInput{NextToken: token, MaxResults: max})
		if err != nil {
			return nil, nil, err
		}
		return out.ClusterArns, out.NextToken, nil
	}},
	{"ListServices", 10, 12, func(ctx context.Context, w *world, token *string, max *int32) ([]string, *string, error) {
		out, err := w.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: aws.String("prod"), NextToken: token, MaxResults: max})
		if err != nil {
			return nil, nil, err
		}
		return out.ServiceArns, out.NextToken, nil
	}},
	{"ListTasks", 100, 12, func(ctx context.Context, w *world, token *string, max *int32) ([]string, *string, error) {
		out, err := w.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String("prod"), NextToken: token, MaxResults: max})
		if err != nil {
			return nil, nil, err
		}
		return out.TaskArns, out.NextToken, nil
	}},
	{"ListTaskDefinitions", 100, 23, func(ctx context.Context, w *world, token *string, max *int32) ([]string, *string, error) {
		out, err := w.ecs.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{NextToken: token, MaxResults: max})
		if err != nil {
			return nil, nil, err
		}
		return out.TaskDefinitionArns, out.NextToken, nil
	}},
	{"ListTaskDefinitionFamilies", 100, 1, func(ctx context.Context, w *world, token *string, max *int32) ([]string, *string, error) {
		out, err := w.ecs.ListTaskDefinitionFamilies(ctx, &ecs.ListTaskDefinitionFamiliesInput{NextToken: token, MaxResults: max})
		if err != nil {
			return nil, nil, err
		}
		return out.Families, out.NextToken, nil
	}},
	{"ListServiceDeployments", 20, 23, func(ctx context.Context, w *world, token *string, max *int32) ([]string, *string, error) {
		out, err := w.ecs.ListServiceDeployments(ctx, &ecs.ListServiceDeploymentsInput{Cluster: aws.String("prod"), Service: aws.String("s0"), NextToken: token, MaxResults: max})
		if err != nil {
			return nil, nil, err
		}
		var arns []string
		for _, d := range out.ServiceDeployments {
			arns = append(arns, *d.ServiceDeploymentArn)
		}
		return arns, out.NextToken, nil
	}},
}

// busy makes 12 clusters, 12 services with a task each, one of them with 23
// deployments.
func busy(w *world) {
	for i := range 11 {
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(fmt.Sprint("c", i))}))
	}
	w.register(container("web:1"))
	for i := range 12 {
		name := fmt.Sprint("s", i)
		w.create("web:1", func(in *ecs.CreateServiceInput) { in.ServiceName = &name })
	}
	for range 22 {
		w.pass(time.Second)
		arn := w.register(container("web:1"))
		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("s0"), TaskDefinition: &arn}))
	}
	w.pass(10 * time.Minute)
}

func TestAPI_everyListComesInPages(t *testing.T) {
	inWorld(t, func(w *world) {
		busy(w)
		for _, l := range listers {
			whole := l.walk(w, aws.Int32(100))
			if len(whole) != l.total || len(slices.Compact(slices.Sorted(slices.Values(whole)))) != l.total {
				t.Errorf("%s lists %d items, want %d different ones", l.name, len(whole), l.total)
			}
			for _, size := range []int32{1, 2, 3, 5, int32(l.total), 99} {
				if got := l.walk(w, &size); !slices.Equal(got, whole) {
					t.Errorf("%s in pages of %d gives %d items in another order or number", l.name, size, len(got))
				}
			}
			first, next, err := l.page(ctx, w, nil, nil)
			if err != nil || len(first) != min(l.usual, l.total) || (next == nil) != (l.total <= l.usual) {
				t.Errorf("%s gives %d items in its first page, %v; want %d", l.name, len(first), err, min(l.usual, l.total))
			}
			for _, size := range []int32{0, -1, 101, 1000} {
				_, _, err := l.page(ctx, w, nil, &size)
				wantError(t, err, "InvalidParameterException", "maxResults")
			}
			for _, token := range []string{"nonsense", "MA", "LTEgeA", strings.Repeat("A", 9000)} {
				_, _, err := l.page(ctx, w, &token, nil)
				wantError(t, err, "InvalidParameterException", "token")
			}
		}
	})
}

// TestAPI_aTokenIsForItsOwnList gives each operation the tokens of the others.
func TestAPI_aTokenIsForItsOwnList(t *testing.T) {
	inWorld(t, func(w *world) {
		busy(w)
		for _, of := range listers {
			if of.total < 2 {
				continue // there is no second page
			}
			_, token, err := of.page(ctx, w, nil, aws.Int32(1))
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range listers {
				_, _, err := l.page(ctx, w, token, aws.Int32(1))
				if l.name != of.name {
					wantError(t, err, "InvalidParameterException", "Invalid token.")
				} else if err != nil {
					t.Errorf("%s refuses its own token: %v", l.name, err)
				}
			}
		}
	})
}

// walk lists everything in pages of a size, and checks each page.
func (l lister) walk(w *world, size *int32) []string {
	w.t.Helper()
	var all []string
	var token *string
	for {
		items, next, err := l.page(ctx, w, token, size)
		if err != nil {
			w.t.Fatalf("%s: %v", l.name, err)
		}
		if len(items) > int(*size) || next != nil && len(items) != int(*size) || next != nil && *next == "" {
			w.t.Errorf("%s gives a page of %d with size %d, next %v", l.name, len(items), *size, next)
		}
		all = append(all, items...)
		if token = next; token == nil {
			return all
		}
	}
}

// TestAPI_aPageGoesOnWhenItsLastItemIsGone: what is listed changes between pages.
func TestAPI_aPageGoesOnWhenItsLastItemIsGone(t *testing.T) {
	inWorld(t, func(w *world) {
		busy(w)
		l := listers[1]
		first, next, err := l.page(ctx, w, nil, aws.Int32(5))
		if err != nil {
			t.Fatal(err)
		}
		must(w.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: aws.String("prod"), Service: &first[4], Force: aws.Bool(true)}))
		rest, _, err := l.page(ctx, w, next, aws.Int32(100))
		if err != nil || len(rest) < 6 || slices.Contains(rest, first[3]) {
			t.Errorf("the next page is %v, %v; want what came behind", rest, err)
		}
	})
}

func TestAPI_describesSoManyAtOnceAndNoMore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")))
		names := func(n int) []string { return slices.Repeat([]string{"web"}, n) }
		prod := aws.String("prod")
		for name, c := range map[string]struct {
			limit int
			call  func([]string) error
		}{
			"DescribeServices": {10, func(n []string) error {
				_, err := w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: prod, Services: n})
				return err
			}},
			"DescribeTasks": {100, func(n []string) error {
				_, err := w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: prod, Tasks: n})
				return err
			}},
			"DescribeClusters": {100, func(n []string) error {
				_, err := w.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: n})
				return err
			}},
			"DescribeServiceDeployments": {20, func(n []string) error {
				_, err := w.ecs.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: n})
				return err
			}},
			"DescribeServiceRevisions": {20, func(n []string) error {
				_, err := w.ecs.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: n})
				return err
			}},
		} {
			if err := c.call(names(c.limit)); err != nil {
				t.Errorf("%s of %d: %v", name, c.limit, err)
			}
			wantError(t, c.call(names(c.limit+1)), "InvalidParameterException", fmt.Sprint(c.limit))
			if name != "DescribeClusters" { // of none: of default
				wantError(t, c.call([]string{}), "InvalidParameterException", "empty")
			}
		}
	})
}

// TestAPI_takesNamesAndARNsEverywhere calls every operation that takes a cluster and
// something in it, by each way to name them, and across clusters.
func TestAPI_takesNamesAndARNsEverywhere(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")))
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("other")}))
		w.pass(2 * time.Minute)
		const arn = "arn:aws:ecs:us-east-1:000000000000:"
		for name, call := range map[string]func(cluster, service string) (bool, error){
			"DescribeServices": func(cluster, service string) (bool, error) {
				out, err := w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{service}})
				return err == nil && len(out.Services) == 1, err
			},
			"UpdateService": func(cluster, service string) (bool, error) {
				_, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &cluster, Service: &service})
				return err == nil, err
			},
			"ListTasks": func(cluster, service string) (bool, error) {
				out, err := w.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cluster, ServiceName: &service})
				return err == nil && len(out.TaskArns) == 1, err
			},
			"ListServiceDeployments": func(cluster, service string) (bool, error) {
				out, err := w.ecs.ListServiceDeployments(ctx, &ecs.ListServiceDeploymentsInput{Cluster: &cluster, Service: &service})
				return err == nil && len(out.ServiceDeployments) == 1, err
			},
		} {
			for _, cluster := range []string{"prod", arn + "cluster/prod"} {
				for _, service := range []string{"web", arn + "service/prod/web", arn + "service/web"} {
					if ok, err := call(cluster, service); !ok {
						t.Errorf("%s(%s, %s): %v", name, cluster, service, err)
					}
				}
				for _, service := range []string{"no", arn + "service/other/web", arn + "task/prod/web", "arn:aws:ecs:eu-west-1:000000000000:service/prod/web"} {
					ok, err := call(cluster, service)
					if ok {
						t.Errorf("%s(%s, %s) finds the service", name, cluster, service)
					}
					if name != "DescribeServices" {
						wantError(t, err, "ServiceNotFoundException", "Service not found.")
					}
				}
			}
			for _, cluster := range []string{"no", "", arn + "cluster/no", arn + "service/prod"} {
				_, err := call(cluster, "web")
				wantError(t, err, "ClusterNotFoundException", "Cluster not found.")
			}
			if ok, _ := call("other", "web"); ok {
				t.Errorf("%s finds the service in another cluster", name)
			}
		}
	})
}

// TestAPI_everyTagIsChecked gives each operation that takes tags those that AWS
// refuses.
func TestAPI_everyTagIsChecked(t *testing.T) {
	inWorld(t, func(w *world) {
		definition := w.register(container("web:1"))
		w.create(definition)
		cluster := "arn:aws:ecs:us-east-1:000000000000:cluster/prod"
		tag := func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} }
		many := func(n int) (tags []types.Tag) {
			for i := range n {
				tags = append(tags, tag(fmt.Sprint("k", i), ""))
			}
			return tags
		}
		for name, call := range map[string]func([]types.Tag) error{
			"CreateCluster": func(tags []types.Tag) error {
				_, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("tagged"), Tags: tags})
				return err
			},
			"RegisterTaskDefinition": func(tags []types.Tag) error {
				_, err := w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{Family: aws.String("tagged"),
					ContainerDefinitions: []types.ContainerDefinition{container("web:1")}, Tags: tags})
				return err
			},
			"RunTask": func(tags []types.Tag) error {
				_, err := w.ecs.RunTask(ctx, &ecs.RunTaskInput{Cluster: aws.String("prod"), TaskDefinition: &definition,
					LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network, Tags: tags})
				return err
			},
			"TagResource": func(tags []types.Tag) error {
				_, err := w.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &cluster, Tags: tags})
				return err
			},
		} {
			for what, tags := range map[string][]types.Tag{
				"51":             many(51),
				"aws:":           {tag("aws:x", "1")},
				"AWS:":           {tag("AWS:x", "1")},
				"an empty key":   {tag("", "1")},
				"a long key":     {tag(strings.Repeat("k", 129), "1")},
				"a long value":   {tag("k", strings.Repeat("v", 257))},
				"the same twice": {tag("k", "1"), tag("k", "2")},
			} {
				if err := call(tags); err == nil {
					t.Errorf("%s takes %s", name, what)
				} else {
					wantError(t, err, "InvalidParameterException", "")
				}
			}
			if err := call(append(many(48), tag(strings.Repeat("k", 128), strings.Repeat("v", 256)), tag("ключ", ""))); err != nil {
				t.Errorf("%s refuses 50 good tags: %v", name, err)
			}
		}
		_, err := w.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &cluster, Tags: []types.Tag{tag("one more", "")}})
		wantError(t, err, "InvalidParameterException", "50")
	})
}
