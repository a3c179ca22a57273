// Drives a sandbox with the AWS SDK for JavaScript: clients, waiters, paginators and
// exceptions. scripts/believed/run gives it a sandbox and the packages.
import {
  ClusterNotFoundException, CreateClusterCommand, CreateServiceCommand, DeleteClusterCommand, DeleteServiceCommand,
  DeregisterTaskDefinitionCommand, DescribeServicesCommand, DescribeTasksCommand, ECSClient, ListServiceDeploymentsCommand, paginateListTasks, RegisterTaskDefinitionCommand,
  UpdateServiceCommand, waitUntilServicesInactive, waitUntilServicesStable, waitUntilTasksStopped,
} from "@aws-sdk/client-ecs";
import { DescribeRepositoriesCommand, ECRClient, paginateListImages } from "@aws-sdk/client-ecr";

const ecs = new ECSClient({}), ecr = new ECRClient({});
const patience = { client: ecs, maxWaitTime: 60, minDelay: 1, maxDelay: 1 };

function holds(what, yes) {
  if (!yes) throw new Error("does not hold: " + what);
  console.log("ok ", what);
}

async function poll(what, found) {
  for (const end = Date.now() + 60000; Date.now() < end; await new Promise((r) => setTimeout(r, 100))) {
    if (await found()) return;
  }
  throw new Error("waited in vain for " + what);
}

try {
  await ecs.send(new DescribeServicesCommand({ cluster: "absent", services: ["web"] }));
  holds("a cluster that is not there is an exception", false);
} catch (e) {
  holds("exceptions have their class and text", e instanceof ClusterNotFoundException && e.message === "Cluster not found.");
}
await ecs.send(new CreateClusterCommand({ clusterName: "js" }));
const { repositories } = await ecr.send(new DescribeRepositoriesCommand({ repositoryNames: ["web"] }));
const register = async (tag) => (await ecs.send(new RegisterTaskDefinitionCommand({
  family: "js", containerDefinitions: [{ name: "web", image: `${repositories[0].repositoryUri}:${tag}`, memory: 64, stopTimeout: 1 }],
}))).taskDefinition.taskDefinitionArn;
const good = await register("good"), bad = await register("bad");
const cluster = "js", services = ["web"];
await ecs.send(new CreateServiceCommand({
  cluster, serviceName: "web", taskDefinition: good, desiredCount: 1,
  deploymentConfiguration: { deploymentCircuitBreaker: { enable: true, rollback: true, thresholdConfiguration: { type: "COUNT", value: 1 } } },
}));
const service = async () => (await ecs.send(new DescribeServicesCommand({ cluster, services }))).services[0];
await waitUntilServicesStable(patience, { cluster, services });
await poll("COMPLETED", async () => (await service()).deployments[0].rolloutState === "COMPLETED");
const first = (await service()).deployments[0];
holds("times are dates", first.createdAt instanceof Date && Date.now() - first.createdAt < 60000);

await ecs.send(new UpdateServiceCommand({ cluster, service: "web", taskDefinition: bad }));
await poll("the rollback", async () => (await service()).deployments[0].id === first.id);
await waitUntilServicesStable(patience, { cluster, services });
holds("services stable succeeds after a rollback", (await service()).taskDefinition === good);
const { serviceDeployments } = await ecs.send(new ListServiceDeploymentsCommand({ cluster, service: "web" }));
holds("the service deployments say how they ended", serviceDeployments.map((d) => d.status).join() === "ROLLBACK_SUCCESSFUL,SUCCESSFUL");

const tasks = [];
for await (const page of paginateListTasks({ client: ecs, pageSize: 1 }, { cluster, desiredStatus: "STOPPED" })) tasks.push(...page.taskArns);
await waitUntilTasksStopped(patience, { cluster, tasks });
const dead = (await ecs.send(new DescribeTasksCommand({ cluster, tasks }))).tasks;
holds("what died says 139", dead.some((t) => t.containers[0].exitCode === 139 && t.stopCode === "EssentialContainerExited"));
let images = 0;
for await (const page of paginateListImages({ client: ecr, pageSize: 1 }, { repositoryName: "web" })) images += page.imageIds.length;
holds("images come in pages", images === 2);

await ecs.send(new DeleteServiceCommand({ cluster, service: "web", force: true }));
await waitUntilServicesInactive(patience, { cluster, services });
for (const taskDefinition of [good, bad]) await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition }));
await ecs.send(new DeleteClusterCommand({ cluster }));
console.log("the SDK for JavaScript believes it");
