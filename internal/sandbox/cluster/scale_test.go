package cluster

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestCluster_a_thousand_tasks is in real time: so many goroutines in a bubble
// of fake time are too much for the race detector's runtime.
func TestCluster_a_thousand_tasks(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Speed = 1000 })
	defer w.close()
	one := w.register(container("web:1"))
	must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("prod")}))
	began := time.Now()
	for i := range 100 {
		must(w.ecs.CreateService(ctx, &ecs.CreateServiceInput{Cluster: aws.String("prod"), ServiceName: aws.String(fmt.Sprint("s", i)), TaskDefinition: &one,
			DesiredCount: aws.Int32(10), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network}))
	}
	w.c.mu.Lock()
	services := w.c.clusters["prod"].sortedServices()
	w.c.mu.Unlock()
	var took []time.Duration
	for _, s := range services {
		asked := time.Now()
		must(w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String("prod"), Services: []string{s.name}}))
		took = append(took, time.Since(asked))
		if err := w.c.awaitSteady(ctx, s, began); err != nil {
			t.Fatalf("service %s: %v", s.name, err)
		}
	}
	cl := must(w.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{"prod"}})).Clusters[0]
	if cl.ActiveServicesCount != 100 || cl.RunningTasksCount != 1000 {
		t.Errorf("%d services with %d running tasks, want 100 with 1000", cl.ActiveServicesCount, cl.RunningTasksCount)
	}
	wantHeapUnder(t, 300<<20)
	slices.Sort(took)
	t.Logf("steady after %s; DescribeServices meanwhile: median %s, slowest %s", time.Since(began), took[50], took[99])
}

// wantHeapUnder wants what is in use to be less than a number of bytes.
func wantHeapUnder(t *testing.T, most uint64) {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc >= most {
		t.Errorf("%d MB of heap are in use, want less than %d", m.HeapAlloc>>20, most>>20)
	}
}
