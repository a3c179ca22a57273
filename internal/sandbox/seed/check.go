package seed

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weelo/weelo-deploy/internal/sandbox/form"
	"github.com/weelo/weelo-deploy/internal/sandbox/hooks"
)

// Name rules of the services' own APIs (CreateCluster, CreateRepository,
// RegisterTaskDefinition, CreateLogGroup and DescribeImages references).
var (
	ecsName   = form.New(`^[A-Za-z0-9_-]{1,255}$`)
	repoName  = form.New(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	groupName = form.New(`^[.\-_/#A-Za-z0-9]{1,512}$`)
	tagName   = form.New(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	// Names of CodeBuild's CreateProject and of S3 buckets.
	projectName = form.New(`^[A-Za-z0-9][A-Za-z0-9_-]{1,149}$`)
	bucketName  = form.New(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	valueName   = form.New(`^[A-Za-z0-9/_+=.@!-]{1,512}$`) // of parameters and secrets
	alarmName   = form.New(`^[^\x00-\x1f]{1,255}$`)
	digestForm  = form.New(`^sha256:[0-9a-f]{64}$`)
)

// checker looks for what the types alone do not forbid.
type checker struct {
	file  string
	root  *yaml.Node
	seed  *Seed
	now   time.Time
	found []error

	clusters  map[string]bool
	revisions map[string]bool // family:revision
	images    map[string]bool // by Name
}

// check returns every problem of s, joined, or nil.
func check(file string, s *Seed, root *yaml.Node) error {
	c := &checker{
		file: file, root: root, seed: s, now: time.Now(),
		clusters: map[string]bool{}, revisions: map[string]bool{}, images: map[string]bool{},
	}
	c.checkClusters()
	c.checkRepositories()
	c.checkLogGroups()
	c.checkRevisions()
	c.checkServices()
	c.checkBalancers()
	c.checkProjects()
	c.checkAlarms()
	c.checkValues()
	return errors.Join(c.found...)
}

func (c *checker) checkProjects() {
	seen := map[string]bool{}
	for i, p := range c.seed.Projects {
		c.name(seen, projectName, "project", p.Name, "projects", i, "name")
		if bucket, key, _ := strings.Cut(p.Source, "/"); !bucketName.MatchString(bucket) || key == "" {
			c.add([]any{"projects", i, "source"}, "project %s: source wants BUCKET/KEY, not %q", p.Name, p.Source)
		}
	}
}

// checkValues looks at what the APIs would refuse by its name alone; they refuse
// the rest when the seed is planted.
func (c *checker) checkValues() {
	for i, h := range c.seed.Hooks {
		if err := hooks.Script(h).Check(); err != nil {
			c.add([]any{"hooks", i}, "%s", err)
		}
	}
	parameters, secrets, objects := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i, p := range c.seed.Parameters {
		c.name(parameters, valueName, "parameter", p.Name, "parameters", i, "name")
		if p.Value == "" {
			c.add([]any{"parameters", i}, "parameter %s has no value", p.Name)
		}
	}
	for i, s := range c.seed.Secrets {
		c.name(secrets, valueName, "secret", s.Name, "secrets", i, "name")
	}
	for i, o := range c.seed.Objects {
		if !bucketName.MatchString(o.Bucket) {
			c.add([]any{"objects", i, "bucket"}, "%q is no name for a bucket", o.Bucket)
		}
		if o.Key == "" || objects[o.Bucket+"/"+o.Key] {
			c.add([]any{"objects", i, "key"}, "object %s/%s wants a key of its own", o.Bucket, o.Key)
		}
		objects[o.Bucket+"/"+o.Key] = true
	}
}

func (c *checker) checkAlarms() {
	seen := map[string]bool{}
	for i, a := range c.seed.Alarms {
		c.name(seen, alarmName, "alarm", a.Name, "alarms", i, "name")
		if !slices.Contains([]string{"", "OK", "ALARM", "INSUFFICIENT_DATA"}, a.State) {
			c.add([]any{"alarms", i, "state"}, "the state of an alarm is OK, ALARM or INSUFFICIENT_DATA, not %q", a.State)
		}
		if a.State != "" && a.Rule != "" {
			c.add([]any{"alarms", i, "state"}, "alarm %s has the state that its rule says", a.Name)
		}
	}
}

// add notes a problem of the value at path.
func (c *checker) add(path []any, format string, a ...any) {
	c.found = append(c.found, &Problem{File: c.file, Line: lineOf(c.root, path...), Message: fmt.Sprintf(format, a...)})
}

// name checks the form of a name and that it is the first of its kind.
func (c *checker) name(seen map[string]bool, rule form.Form, kind, name string, path ...any) {
	switch {
	case !rule.MatchString(name):
		c.add(path, "%q is no name for a %s", name, kind)
	case seen[name]:
		c.add(path, "%s %q is there twice", kind, name)
	}
	seen[name] = true
}

func (c *checker) checkClusters() {
	for i, x := range c.seed.Clusters {
		c.name(c.clusters, ecsName, "cluster", x.Name, "clusters", i, "name")
	}
}

func (c *checker) checkLogGroups() {
	seen := map[string]bool{}
	for i, x := range c.seed.LogGroups {
		c.name(seen, groupName, "log group", x.Name, "logGroups", i, "name")
	}
}

func (c *checker) checkRepositories() {
	seen := map[string]bool{}
	for i, r := range c.seed.Repositories {
		c.name(seen, repoName, "repository", r.Name, "repositories", i, "name")
		tags := map[string]bool{}
		for j, image := range r.Images {
			path := []any{"repositories", i, "images", j}
			for k, tag := range image.Tags {
				c.name(tags, tagName, "tag", tag, append(path, "tags", k)...)
			}
			c.checkImage(image, path)
		}
	}
}

func (c *checker) checkImage(image Image, path []any) {
	sources := 0
	for _, given := range []bool{image.Digest != "", image.From != "", image.Builtin != nil} {
		if given {
			sources++
		}
	}
	if sources != 1 {
		c.add(path, "an image needs exactly one of digest, from and builtin")
	}
	if image.Digest != "" && !digestForm.MatchString(image.Digest) {
		c.add(append(path, "digest"), "%q is no digest (sha256: and 64 hexadecimal digits)", image.Digest)
	}
	if b := image.Builtin; b != nil {
		programs := []string{Serve, Idle, IgnoreTerm, Exit, Segfault, Hog}
		if !slices.Contains(programs, b.Program) {
			c.add(append(path, "builtin", "program"), "%q is no built-in program; they are %s", b.Program, strings.Join(programs, ", "))
		}
	}
	if image.Name != "" {
		c.name(c.images, tagName, "image", image.Name, append(path, "name")...)
	}
	if len(image.Tags) == 0 && image.From != "" && image.Name == "" {
		c.add(path, "an image without tags needs a name, or nothing can refer to it")
	}
}

func (c *checker) checkRevisions() {
	for i, r := range c.seed.TaskDefinitions {
		path := []any{"taskDefinitions", i}
		if !ecsName.MatchString(r.Family) {
			c.add(append(path, "family"), "%q is no name for a family", r.Family)
		}
		if r.Revision < 1 {
			c.add(append(path, "revision"), "a revision's number must be 1 or more, not %d", r.Revision)
		}
		name := fmt.Sprintf("%s:%d", r.Family, r.Revision)
		if c.revisions[name] {
			c.add(path, "revision %s is there twice", name)
		}
		c.revisions[name] = true
		if !slices.Contains([]string{"", "ACTIVE", "INACTIVE"}, r.Status) {
			c.add(append(path, "status"), "a revision's status is ACTIVE or INACTIVE, not %q", r.Status)
		}
		in, err := r.Register()
		if err != nil {
			c.add(append(path, "definition"), "%s", err)
		} else if len(in.ContainerDefinitions) == 0 {
			c.add(append(path, "definition"), "the definition of %s has no containerDefinitions", name)
		}
	}
}

func (c *checker) checkServices() {
	seen := map[string]bool{}
	for i, s := range c.seed.Services {
		path := []any{"services", i}
		if !c.clusters[s.Cluster] {
			c.add(append(path, "cluster"), "there is no cluster %q in this file%s", s.Cluster, choices(c.clusters))
		}
		if !ecsName.MatchString(s.Name) {
			c.add(append(path, "name"), "%q is no name for a service", s.Name)
		}
		if seen[s.Cluster+"/"+s.Name] {
			c.add(path, "service %q is there twice in cluster %q", s.Name, s.Cluster)
		}
		seen[s.Cluster+"/"+s.Name] = true
		if s.DesiredCount < 0 {
			c.add(append(path, "desiredCount"), "the desired count must not be negative")
		}
		if _, err := s.Create(); err != nil {
			c.add(append(path, "settings"), "%s", err)
		}
		c.checkDeployments(s, append(path, "deployments"))
	}
}

func (c *checker) checkDeployments(s Service, path []any) {
	if s.Serves() < 0 && s.Running() < 0 {
		c.add(path, "service %q needs a deployment that is %s or %s", s.Name, Successful, InProgress)
	}
	var before time.Time
	for i, d := range s.Deployments {
		at := append(slices.Clone(path), i)
		c.checkDeployment(s, d, i == len(s.Deployments)-1, at)
		created := d.CreatedAt.At(c.now)
		if created.Before(before) {
			c.add(append(at, "createdAt"), "deployments must be in the order of their times, oldest first")
		}
		before = created
	}
}

func (c *checker) checkDeployment(s Service, d Deployment, last bool, path []any) {
	if name := fmt.Sprintf("%s:%d", s.Family, d.Revision); !c.revisions[name] {
		c.add(append(path, "revision"), "there is no task definition %s in this file", name)
	}
	switch d.Outcome {
	case Successful, Stopped, RollbackSuccessful, RollbackFailed:
	case InProgress:
		if !last {
			c.add(append(path, "outcome"), "only the newest deployment can be %s", InProgress)
		}
	default:
		c.add(append(path, "outcome"), "%q is no outcome; they are %s", d.Outcome,
			strings.Join([]string{Successful, Stopped, RollbackSuccessful, RollbackFailed, InProgress}, ", "))
	}
	if d.CreatedAt.IsZero() {
		c.add(path, "a deployment needs its createdAt, for example -72h")
	}
	for container, digest := range d.Digests {
		if !digestForm.MatchString(digest) && !c.images[digest] {
			c.add(append(path, "digests", container), "%q is neither a digest nor the name of an image in this file%s", digest, choices(c.images))
		}
	}
}

// choices lists the names there are, for a message about one that is not.
func choices(known map[string]bool) string {
	if len(known) == 0 {
		return ""
	}
	return " (there is " + strings.Join(slices.Sorted(maps.Keys(known)), ", ") + ")"
}
