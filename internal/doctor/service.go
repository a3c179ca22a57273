package doctor

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/history"
)

// update is an aws command that changes the service.
func (e *exam) update(flags string) string {
	region := ""
	if e.Settings.Region != "" {
		region = " --region " + e.Settings.Region
	}
	return fmt.Sprintf("aws ecs update-service --cluster %s --service %s%s %s", history.Short(e.Settings.Cluster), history.Short(e.Settings.Service), region, flags)
}

// circuitBreaker says who ends a deployment when the release is killed.
func circuitBreaker(e *exam) []Finding {
	b := &types.DeploymentCircuitBreaker{}
	if d := e.Service.DeploymentConfiguration; d != nil && d.DeploymentCircuitBreaker != nil {
		b = d.DeploymentCircuitBreaker
	}
	state := "off"
	if b.Enable {
		state = "on, without rollback"
	}
	switch {
	case b.Enable && b.Rollback:
		return one("circuit breaker", OK, "on, with rollback", "")
	case e.Settings.Backstop:
		return one("circuit breaker", OK, state+"; a release switches it on while it deploys", "")
	}
	return one("circuit breaker", Warn, state+", and release.backstop is keep: a release that is killed leaves a crash loop behind",
		e.update("--deployment-configuration 'deploymentCircuitBreaker={enable=true,rollback=true}'"))
}

// capacity looks at what the deployment percents mean for the number of tasks.
// That they let a deployment go on at all is preflight's check.
func capacity(e *exam) []Finding {
	d := e.Service.DeploymentConfiguration
	if d == nil || d.MinimumHealthyPercent == nil || d.MaximumPercent == nil {
		return one("capacity", OK, "ECS's default deployment percents", "")
	}
	least, most, n := int(*d.MinimumHealthyPercent), int(*d.MaximumPercent), int(e.Service.DesiredCount)
	detail := fmt.Sprintf("%d wanted, %d%% to %d%% while deploying", n, least, most)
	// minimumHealthyPercent rounds up (DeploymentConfiguration, ECS API reference).
	if kept := (n*least + 99) / 100; n > 0 && kept == 0 {
		return one("capacity", Warn, detail+": ECS may stop every task before a new one runs", e.update("--deployment-configuration minimumHealthyPercent=100,maximumPercent=200"))
	}
	return one("capacity", OK, detail, "")
}

// healthChecks says how ECS knows that a task works.
func healthChecks(e *exam) []Finding {
	balanced := len(e.Service.LoadBalancers) > 0
	grace := aws.ToInt32(e.Service.HealthCheckGracePeriodSeconds)
	switch {
	case balanced && grace == 0 && !e.Current.HealthChecked():
		return one("health checks", Warn, "the load balancer's, without a grace period: a task that starts slowly is replaced before it is ready",
			e.update("--health-check-grace-period-seconds 60"))
	case balanced:
		return one("health checks", OK, fmt.Sprintf("the load balancer's, %d s of grace", grace), "")
	case e.Current.HealthChecked():
		return one("health checks", OK, "the container's", "")
	}
	return one("health checks", Warn, "none: a task counts as healthy when it runs, whether it answers or not",
		"give the essential container a healthCheck in the task definition, or configure checks.http")
}
