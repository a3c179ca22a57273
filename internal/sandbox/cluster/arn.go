package cluster

import "strings"

// arns makes and takes apart the ARNs of one account in one region. Only the
// long forms, with the cluster's name, are made.
type arns struct{ region, account string }

func (a arns) prefix() string { return "arn:aws:ecs:" + a.region + ":" + a.account + ":" }

func (a arns) cluster(name string) string { return a.prefix() + "cluster/" + name }

func (a arns) service(cluster, name string) string {
	return a.prefix() + "service/" + cluster + "/" + name
}

func (a arns) task(cluster, id string) string { return a.prefix() + "task/" + cluster + "/" + id }

func (a arns) container(cluster, task, name string) string {
	return a.prefix() + "container/" + cluster + "/" + task + "/" + derivedUUID(task, name)
}

func (a arns) serviceDeployment(cluster, service, id string) string {
	return a.prefix() + "service-deployment/" + cluster + "/" + service + "/" + id
}

func (a arns) serviceRevision(cluster, service, number string) string {
	return a.prefix() + "service-revision/" + cluster + "/" + service + "/" + number
}

func (a arns) taskSet(cluster, service, number string) string {
	return a.prefix() + "task-set/" + cluster + "/" + service + "/ecs-svc/" + number
}

// split takes an ARN of this account and region apart into its kind and the
// parts behind, for example "task", [cluster, id].
func (a arns) split(arn string) (kind string, parts []string, ok bool) {
	rest, ok := strings.CutPrefix(arn, a.prefix())
	if !ok {
		return "", nil, false
	}
	words := strings.Split(rest, "/")
	return words[0], words[1:], len(words) > 1
}

// clusterName is the name of the cluster that a name or ARN means; empty is
// the cluster "default".
func (a arns) clusterName(ref string) string {
	if ref == "" {
		return "default"
	}
	if kind, parts, ok := a.split(ref); ok && kind == "cluster" && len(parts) == 1 {
		return parts[0]
	}
	return ref
}

// nameIn is the last part of a reference to something in a cluster: a name or
// id, or an ARN in its short or long form. An ARN that names another cluster
// or is of another kind gives "".
func (a arns) nameIn(kind, cluster, ref string) string {
	if !strings.HasPrefix(ref, "arn:") {
		return ref
	}
	k, parts, ok := a.split(ref)
	switch {
	case !ok || k != kind:
		return ""
	case len(parts) == 1:
		return parts[0]
	case len(parts) == 2 && parts[0] == cluster:
		return parts[1]
	}
	return ""
}
