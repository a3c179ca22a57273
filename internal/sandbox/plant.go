package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/builds"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/hooks"
	"github.com/weelo/weelo-deploy/internal/sandbox/logstore"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
	"github.com/weelo/weelo-deploy/internal/sandbox/secrets"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

// deploymentTime is how long a deployment on record took when the seed does not
// say.
const deploymentTime = 3 * time.Minute

// plant writes the seed into the services, images first: what serves needs them.
func (s *Server) plant(ctx context.Context) error {
	now := s.cfg.Now()
	digests, err := s.plantImages(ctx, now)
	if err != nil {
		return err
	}
	from := s.cfg.Seed.Resolve(s.Registry(), digests)
	for _, g := range from.LogGroups {
		if err := s.logs.CreateGroup(g.Name); err != nil && !errors.Is(err, logstore.ErrExists) {
			return fmt.Errorf("seed: %w", err)
		}
	}
	for _, p := range from.Projects {
		if err := s.builds.AddProject(builds.Project{Name: p.Name, Source: p.Source, Type: p.Type}); err != nil {
			return fmt.Errorf("seed project %s: %w", p.Name, err)
		}
	}
	if err := s.plantValues(from); err != nil {
		return err
	}
	for _, a := range from.Alarms {
		if err := s.alarms.Plant(a.Name, a.State, a.Rule); err != nil {
			return fmt.Errorf("seed alarm %s: %w", a.Name, err)
		}
	}
	for _, h := range from.Hooks {
		if err := s.hooks.Add(hooks.Script(h)); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
	}
	for _, c := range from.Clusters {
		s.cluster.SeedCluster(c.Name, resourceTags(c.Tags))
	}
	if err := s.plantRevisions(from, now); err != nil {
		return err
	}
	arns, err := s.plantBalancers(from)
	if err != nil {
		return err
	}
	for _, service := range from.Services {
		record, err := serviceRecord(service.Filled(arns), now)
		if err != nil {
			return fmt.Errorf("seed service %s: %w", service.Name, err)
		}
		if err := s.cluster.SeedService(ctx, record); err != nil {
			return err
		}
	}
	return nil
}

// plantValues writes what tasks get in their environment.
func (s *Server) plantValues(from *seed.Seed) error {
	for _, p := range from.Parameters {
		if err := s.secrets.PutParameter(p.Name, p.Value, cmp.Or(p.Type, secrets.String), true); err != nil {
			return fmt.Errorf("seed parameter %s: %w", p.Name, err)
		}
	}
	for _, x := range from.Secrets {
		if _, err := s.secrets.CreateSecret(x.Name, x.Value); err != nil {
			return fmt.Errorf("seed secret %s: %w", x.Name, err)
		}
	}
	for _, o := range from.Objects {
		s.objects.CreateBucket(o.Bucket)
		if err := s.objects.Put(o.Bucket, o.Key, []byte(o.Body)); err != nil {
			return fmt.Errorf("seed object %s/%s: %w", o.Bucket, o.Key, err)
		}
	}
	return nil
}

// plantImages makes the repositories and returns the digests of the images that
// have a name in the seed.
func (s *Server) plantImages(ctx context.Context, now time.Time) (map[string]string, error) {
	digests := make(map[string]string)
	for _, r := range s.cfg.Seed.Repositories {
		if err := s.registry.CreateRepository(r.Name, r.Immutable); err != nil && !errors.Is(err, registry.ErrExists) {
			return nil, fmt.Errorf("seed: %w", err)
		}
		settings := registry.Settings{Immutable: r.Immutable, Except: r.Except, Lifecycle: string(r.Lifecycle.Raw), ScanOnPush: r.ScanOnPush}
		if err := s.registry.Configure(r.Name, settings); err != nil {
			return nil, fmt.Errorf("seed: %w", err)
		}
		for i, image := range r.Images {
			digest, err := s.plantImage(ctx, r.Name, image)
			if err == nil {
				err = s.writePast(r.Name, digest, image, now)
			}
			if err != nil {
				return nil, fmt.Errorf("seed image %d of %s: %w", i+1, r.Name, err)
			}
			if image.Name != "" {
				digests[image.Name] = digest
			}
		}
	}
	return digests, nil
}

// writePast writes down an image's tags and what happened to it.
func (s *Server) writePast(repository, digest string, image seed.Image, now time.Time) error {
	if err := s.registry.Retag(repository, digest, image.Tags, image.PushedAt.Or(now, time.Time{})); err != nil {
		return err
	}
	if err := s.registry.Past(repository, digest, image.PulledAt.Or(now, time.Time{}), image.ArchivedAt.Or(now, time.Time{})); err != nil {
		return err
	}
	if len(image.Findings) == 0 {
		return nil
	}
	findings := make([]registry.Finding, len(image.Findings))
	for i, f := range image.Findings {
		findings[i] = registry.Finding(f)
	}
	return s.registry.SetFindings(repository, digest, findings)
}

// plantImage stores one image and returns its digest.
func (s *Server) plantImage(ctx context.Context, repository string, image seed.Image) (string, error) {
	switch {
	case image.Digest != "":
		return image.Digest, s.registry.Record(repository, image.Digest, nil)
	case image.Builtin != nil:
		return s.plantBuiltin(repository, *image.Builtin)
	}
	return s.plantLocal(ctx, repository, image.From)
}

// plantLocal has an image of the local engine pushed. The push needs a tag; it
// gets one of its own, which goes again.
func (s *Server) plantLocal(ctx context.Context, repository, from string) (string, error) {
	if s.cfg.PushImage == nil {
		return "", fmt.Errorf("push %s: there is no engine to push from", from)
	}
	const tag = "weelo-sandbox-seed"
	user, password := s.registry.Credentials()
	push := ImagePush{From: from, To: s.Registry() + "/" + repository + ":" + tag, Username: user, Password: password}
	if err := s.cfg.PushImage(ctx, push); err != nil {
		return "", fmt.Errorf("push %s: %w", from, err)
	}
	pushed, err := s.registry.Resolve(repository, tag, "", "")
	if err != nil {
		return "", fmt.Errorf("push %s: %w", from, err)
	}
	return pushed.Digest, s.registry.Untag(repository, tag)
}

// plantRevisions writes the task definitions, each family in the order of its
// numbers.
func (s *Server) plantRevisions(from *seed.Seed, now time.Time) error {
	sorted := slices.Clone(from.TaskDefinitions)
	slices.SortStableFunc(sorted, func(a, b seed.Revision) int { return a.Revision - b.Revision })
	for _, r := range sorted {
		err := s.cluster.SeedRevision(cluster.RevisionSeed{
			Family: r.Family, Revision: r.Revision, Members: r.Definition.Raw, Tags: resourceTags(r.Tags),
			RegisteredAt: r.RegisteredAt.Or(now, now), Inactive: r.Status == "INACTIVE",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// serviceRecord is the service as the cluster takes it.
func serviceRecord(service seed.Service, now time.Time) (cluster.ServiceSeed, error) {
	in, err := service.Create()
	if err != nil {
		return cluster.ServiceSeed{}, err
	}
	in.Tags = append(in.Tags, resourceTags(service.Tags)...)
	oldest := now
	if len(service.Deployments) > 0 {
		oldest = service.Deployments[0].CreatedAt.At(now)
	}
	record := cluster.ServiceSeed{Create: *in, CreatedAt: service.CreatedAt.Or(now, oldest)}
	for _, d := range service.Deployments {
		record.Deployments = append(record.Deployments, deploymentRecord(service.Family, d, now))
	}
	return record, nil
}

func deploymentRecord(family string, d seed.Deployment, now time.Time) cluster.DeploymentSeed {
	created := d.CreatedAt.At(now)
	record := cluster.DeploymentSeed{
		TaskDefinition: fmt.Sprintf("%s:%d", family, d.Revision),
		Outcome:        d.Outcome,
		Reason:         d.Reason,
		CreatedAt:      created,
		FinishedAt:     d.FinishedAt.Or(now, created.Add(deploymentTime)),
		Digests:        d.Digests,
		FailedTasks:    d.FailedTasks,
		Events:         d.Events,
	}
	for _, t := range d.Stopped {
		record.Stopped = append(record.Stopped, cluster.TaskSeed{
			StoppedAt: t.StoppedAt.Or(now, record.FinishedAt), StopCode: t.StopCode, StoppedReason: t.StoppedReason,
			Container: t.Container, ExitCode: t.ExitCode, Reason: t.Reason, Logs: t.Logs,
		})
	}
	return record
}

func resourceTags(tags map[string]string) []types.Tag {
	var list []types.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: new(k), Value: new(tags[k])})
	}
	return list
}

// plantFaults adds the rules to begin with, once what they are about is there. The
// seed's go with the seed.
func (s *Server) plantFaults() error {
	mistakes := s.addFaults(s.cfg.Faults, false)
	if !s.Resumed() {
		mistakes = append(mistakes, s.addFaults(s.cfg.Seed.Faults, true)...)
	}
	if len(mistakes) > 0 {
		return mistakes
	}
	return nil
}

func (s *Server) addFaults(rules []seed.JSON, seeded bool) (mistakes FaultMistakes) {
	for _, r := range rules {
		parsed, err := fault.Parse(r.Raw)
		if err == nil {
			_, err = s.faults.Add(parsed...)
		}
		if err != nil {
			mistakes = append(mistakes, FaultMistake{Seeded: seeded, Line: r.Line, Message: err.Error()})
		}
	}
	return mistakes
}

// FaultMistake is what is wrong with a rule to begin with.
type FaultMistake struct {
	Seeded  bool // the rule is in the seed
	Line    int  // of its file
	Message string
}

// FaultMistakes are all that is wrong with the rules to begin with.
type FaultMistakes []FaultMistake

func (m FaultMistakes) Error() string {
	var all []string
	for _, one := range m {
		all = append(all, fmt.Sprintf("fault of line %d: %s", one.Line, one.Message))
	}
	return strings.Join(all, "\n")
}
