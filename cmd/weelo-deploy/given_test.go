package main

import (
	"strings"
	"testing"
)

func TestCommandsToTypeNextRepeatWhatChoseTheConfigurationAndTheImage(t *testing.T) {
	d := sit(t, deskSeed)
	d.write("my files/deploy.yaml", deskConfig+"environments:\n  prod: {image: {tags: [v3]}}\n")
	base := []string{"--config", "my files/deploy.yaml", "--env", "prod", "--output", "plain"}
	image := strings.TrimPrefix(d.server.URL(), "http://") + "/weelo-backend:v1"
	where := " --cluster weelocluster --service backend --region ap-south-1 --config 'my files/deploy.yaml' --env prod"
	for name, c := range map[string]struct {
		args []string
		next string
	}{
		"a plan":               {[]string{"plan", "--redeploy", "--image", image, "--tag", "v9", "--bake", "2s"}, "weelo-deploy release" + where + " --image " + image + " --tag v9 --redeploy --bake 2s"},
		"logs of no revision":  {[]string{"logs", "--revision", "99"}, "weelo-deploy history" + where},
		"rollback to nothing":  {[]string{"rollback", "99"}, "weelo-deploy history" + where},
		"no such service":      {[]string{"status", "--service", "bakend"}, "aws ecs list-services --cluster weelocluster --region ap-south-1"},
		"a release of nothing": {[]string{"release", "--service", "bakend", "--image", image}, "aws ecs list-services --cluster weelocluster --region ap-south-1"},
	} {
		_, stderr, _ := d.run(append(c.args, base...)...)
		if !strings.Contains(stderr, c.next+"\n") && !strings.Contains(stderr, c.next+" · ") {
			t.Errorf("%s does not name %q:\n%s", name, c.next, stderr)
		}
	}
}

func TestAFlagIsTypedAgainWithoutTheValueOfABuildArgument(t *testing.T) {
	root := newRootCommand(&app{getenv: func(string) string { return "" }})
	plan, args, err := root.Find([]string{"plan", "--build-arg", "TOKEN=hunter2", "--build-arg", "HOME", "--target", "it's", "--pull", "--no-cache=false"})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range new(app).given(plan).What {
		texts = append(texts, f.Text)
	}
	if got, want := strings.Join(texts, " "), `--build-arg TOKEN=… --build-arg HOME --no-cache=false --pull --target 'it'\''s'`; got != want {
		t.Errorf("given = %s, want %s", got, want)
	}
	for _, name := range repeated {
		if plan.Flags().Lookup(name) == nil {
			t.Errorf("release has no flag --%s", name)
		}
	}
}
