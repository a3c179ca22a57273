package doctor

import "strings"

// gitHubActions looks at what a job of GitHub Actions needs. The runner gives a
// job the two OIDC variables only where its permissions have id-token: write.
func gitHubActions(e *exam) []Finding {
	const name = "GitHub Actions"
	get := e.Getenv
	if get("GITHUB_ACTIONS") != "true" {
		return one(name, Skip, "this is no job of it", "")
	}
	var out []Finding
	oidc := get("ACTIONS_ID_TOKEN_REQUEST_URL") != "" && get("ACTIONS_ID_TOKEN_REQUEST_TOKEN") != ""
	switch {
	case strings.HasPrefix(get("AWS_ACCESS_KEY_ID"), "AKIA"):
		out = one(name, Warn, "the job uses a key that never expires", "use OIDC: aws-actions/configure-aws-credentials with role-to-assume, and permissions: {id-token: write}")
	case !oidc && e.Account == "":
		out = one(name, Fail, "the job may not ask for an OIDC token, and has no other credentials", "add permissions: {id-token: write, contents: read} to the job")
	case !oidc:
		out = one(name, OK, "credentials come from elsewhere; the job may not ask for an OIDC token", "")
	default:
		out = one(name, OK, "the job may ask for an OIDC token", "")
	}
	for _, variable := range []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
		if get(variable) == "" {
			out = append(out, one(name, Warn, variable+" is not set: outputs and summary are left out", "run weelo-deploy in a step of the job, not in a container without the runner's files")...)
		}
	}
	return out
}
