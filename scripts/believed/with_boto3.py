"""Drives a sandbox with boto3: clients, waiters, paginators, exceptions, retries.

scripts/believed/run gives it a sandbox. Each line that it prints held; it ends
with 1 at the first that does not.
"""

import json
import os
import time
import urllib.request

import boto3
from botocore.config import Config

url = os.environ["AWS_ENDPOINT_URL"]


def client(name, **options):
    # boto3 before 1.28 does not read AWS_ENDPOINT_URL.
    return boto3.client(name, endpoint_url=url, config=Config(**options))


def holds(what, yes):
    if not yes:
        raise SystemExit("does not hold: " + what)
    print("ok ", what)


def poll(what, found):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.1)
    raise SystemExit("waited in vain for " + what)


ecs, ecr, logs, sts = client("ecs"), client("ecr"), client("logs"), client("sts")
quick = {"Delay": 1, "MaxAttempts": 60}
account = sts.get_caller_identity()["Account"]

try:
    ecs.describe_services(cluster="absent", services=["web"])
    holds("a cluster that is not there is an exception", False)
except ecs.exceptions.ClusterNotFoundException as e:
    holds("exceptions have their class and text", str(e).endswith("Cluster not found."))

ecs.create_cluster(clusterName="c")
registry = ecr.describe_repositories(repositoryNames=["web"])["repositories"][0]["repositoryUri"]


def register(tag):
    return ecs.register_task_definition(
        family="web",
        containerDefinitions=[{
            "name": "web", "image": registry + ":" + tag, "memory": 64, "stopTimeout": 1,
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/web", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "ecs"}},
        }],
    )["taskDefinition"]["taskDefinitionArn"]


good, bad = register("good"), register("bad")
ecs.create_service(
    cluster="c", serviceName="web", taskDefinition=good, desiredCount=2,
    deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
)
ecs.get_waiter("services_stable").wait(cluster="c", services=["web"], WaiterConfig=quick)


def service():
    return ecs.describe_services(cluster="c", services=["web"])["services"][0]


poll("COMPLETED", lambda: service()["deployments"][0]["rolloutState"] == "COMPLETED")
first = service()["deployments"][0]["id"]
holds("services_stable waits for the tasks", service()["runningCount"] == 2)

updated = ecs.update_service(cluster="c", service="web", taskDefinition=bad)["service"]
holds("the answer has the new deployment", [d["status"] for d in updated["deployments"]] == ["PRIMARY", "ACTIVE"])
poll("the rollback", lambda: service()["deployments"][0]["id"] == first)
ecs.get_waiter("services_stable").wait(cluster="c", services=["web"], WaiterConfig=quick)
holds("services_stable succeeds after a rollback", service()["taskDefinition"] == good)
holds("the old deployment is back under its id", [d["id"] for d in service()["deployments"]] == [first])

stopped = [arn for page in ecs.get_paginator("list_tasks").paginate(
    cluster="c", serviceName="web", desiredStatus="STOPPED", PaginationConfig={"PageSize": 1}) for arn in page["taskArns"]]
ecs.get_waiter("tasks_stopped").wait(cluster="c", tasks=stopped, WaiterConfig=quick)
dead = [t for t in ecs.describe_tasks(cluster="c", tasks=stopped)["tasks"] if t["taskDefinitionArn"] == bad]
holds("what died says 139 and its digest", any(
    c.get("exitCode") == 139 and c["imageDigest"].startswith("sha256:") for t in dead for c in t["containers"]))
lines = [e["message"] for page in logs.get_paginator("filter_log_events").paginate(logGroupName="/ecs/web") for e in page["events"]]
holds("its last lines are there", "loading native module" in lines and "ready to serve" in lines)

families = [a for page in ecs.get_paginator("list_task_definitions").paginate(PaginationConfig={"PageSize": 1}) for a in page["taskDefinitionArns"]]
holds("paginators see everything once", families == [good, bad])

task = ecs.run_task(cluster="c", taskDefinition=good, count=1, clientToken="once")["tasks"][0]["taskArn"]
again = ecs.run_task(cluster="c", taskDefinition=good, count=1, clientToken="once")["tasks"][0]["taskArn"]
holds("a client token runs a task once", task == again)
ecs.get_waiter("tasks_running").wait(cluster="c", tasks=[task], WaiterConfig=quick)
ecs.stop_task(cluster="c", task=task, reason="enough")
ecs.get_waiter("tasks_stopped").wait(cluster="c", tasks=[task], WaiterConfig=quick)
ended = ecs.describe_tasks(cluster="c", tasks=[task])["tasks"][0]
holds("a task that was stopped says so", (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "enough"))

images = [i for page in ecr.get_paginator("describe_images").paginate(repositoryName="web", PaginationConfig={"PageSize": 1}) for i in page["imageDetails"]]
holds("images come in pages", sorted(t for i in images for t in i["imageTags"]) == ["bad", "good"])
missed = ecr.batch_get_image(repositoryName="web", imageIds=[{"imageTag": "absent"}])["failures"]
holds("a missing image is a failure in the answer", missed[0]["failureCode"] == "ImageNotFound")


def fault(rule):
    urllib.request.urlopen(urllib.request.Request(url + "/_sandbox/faults", json.dumps(rule).encode(), method="POST")).read()


for mode in "legacy", "standard", "adaptive":
    patient = client("ecs", retries={"mode": mode, "max_attempts": 4})
    fault({"when": "ListClusters", "times": 1, "error": "ThrottlingException", "message": "Rate exceeded"})
    fault({"when": "ListServices", "times": 1, "error": "ServerException", "status": 500})
    fault({"when": "ListTaskDefinitionFamilies", "times": 1, "dropAnswer": True})
    patient.list_clusters(), patient.list_services(cluster="c"), patient.list_task_definition_families()
    holds("retries of the mode " + mode + " outlive throttling, errors and cut connections", True)

ecs.delete_service(cluster="c", service="web", force=True)
ecs.get_waiter("services_inactive").wait(cluster="c", services=["web"], WaiterConfig=quick)
for arn in good, bad:
    ecs.deregister_task_definition(taskDefinition=arn)
ecs.delete_cluster(cluster="c")
holds("nothing is left", ecs.list_clusters()["clusterArns"] == [] and ecs.list_task_definitions()["taskDefinitionArns"] == [])
print("boto3", boto3.__version__, "believes it, account", account)
