package main

import "github.com/spf13/cobra"

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What each exit code means",
		Long: `Exit codes are stable: scripts may rely on them.

  0    the new revision serves, or nothing had to change
  1    unexpected failure; the message says what production serves
  2    usage or configuration
  3    the release failed and was rolled back; the stable revision serves, healthy
  4    refused; production and data were not touched
  5    the release failed and production is not known to be healthy
       (the rollback failed, was impossible, or is switched off; or a live
       check fails after the rollback too: the release was not the cause)
  6    superseded: another deployment took over, nothing was rolled back
  7    a before-task ran and the release stopped before the service was changed;
       data may have been
  8    plan --exit-code: something would change
  130  interrupted by SIGINT or SIGHUP; the message says what goes on
  143  interrupted by SIGTERM; the message says what goes on

rollback ends with 0 when the target serves, also when it already did. watch
ends as the release would have ended, and with 0 when nothing is in progress.`,
	}
}

func environmentTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "environment",
		Short: "Environment variables that are read",
		Long: `  WEELO_DEPLOY_*       a configuration value: the key in upper case, dots as _
                       (WEELO_DEPLOY_IMAGE_REPOSITORY); flags win over it, and it
                       wins over the file
  WEELO_DEPLOY_CONFIG, WEELO_DEPLOY_ENV, WEELO_DEPLOY_OUTPUT
                       for --config, --env and --output
  AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, …
                       as the aws command reads them
  DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_CERT_PATH, DOCKER_TLS_VERIFY
                       as the docker command reads them
  CI                   set (but not to 0 or false): plain output, no questions
  GITHUB_ACTIONS       true: output for GitHub Actions
  NO_COLOR             set to anything: no colour
  FORCE_COLOR          set (but not to 0 or false): colour also without a terminal;
                       NO_COLOR wins over it`,
	}
}
