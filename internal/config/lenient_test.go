package config

import (
	"slices"
	"strings"
	"testing"
)

// where names a service and guards it; what follows in a test is wrong.
const where = `region: ap-south-1
cluster: weelocluster
service: backend
account: "318774499084"
release: {rollback: never, timeout: 15m}
`

func TestLoad_aCommandThatGoesBackDoesWithoutTheWrongPartsThatItDoesNotNeed(t *testing.T) {
	const notify = "notify: [{url: \"https://hooks.example.com/secret-path\"}]\n"
	for name, c := range map[string]struct {
		text, left string
	}{
		"nothing is wrong": {where + notify, ""},
		"variables that are not set": {
			where + notify + "build: {args: {A: \"${NOT_SET}\"}}\nchecks: {http: [{name: a, url: \"https://x.example/\", headers: {K: \"${NOT_SET}\"}}]}\ntask: {environment: {A: \"${NOT_SET}\"}, container: app}\n",
			"build checks task.environment",
		},
		"wrong values and unknown keys within": {where + notify + "image: {repository: \"a b\", tagz: 3}\nverify: 3\n", "image verify"},
		"in an environment":                    {where + notify + "environments: {staging: {cluster: staging, image: {tags: [\"{{.No}}\"]}}}\n", "image"},
		"all that can be spared":               {where + "image: 1\nbuild: 1\nverify: 1\nchecks: 1\nnotify: 1\n", "image build verify checks notify"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, c.text)
			got, err := Load(Options{Dir: dir, Lenient: true})
			if err != nil {
				t.Fatal(err)
			}
			if left := strings.Join(got.LeftOut, " "); left != c.left || (c.left == "") != (got.Mistakes == nil) {
				t.Errorf("left out %q because of %v, want %q", left, got.Mistakes, c.left)
			}
			if got.Cluster != "weelocluster" || got.Account != "318774499084" || got.Release.Rollback != "never" || got.Release.Timeout.Minutes() != 15 {
				t.Errorf("settings = %+v", got.Settings)
			}
			if (len(got.Notify) == 0) != got.Lacks("notify") {
				t.Errorf("webhooks: %v, though they are right", got.Notify)
			}
			if c.left == "" {
				return
			}
			if _, err := Load(Options{Dir: dir}); err == nil {
				t.Error("a strict command takes the file")
			}
		})
	}
}

func TestLoad_whatSaysWhichServiceItIsHasToBeRightForEveryCommand(t *testing.T) {
	for name, text := range map[string]string{
		"an account that is not set":               "account: \"${NOT_SET}\"\ncluster: a\nservice: b\n",
		"an unknown key, which may be a guard":     where + "acount: \"318774499084\"\n",
		"an unknown key of an environment":         where + "environments: {staging: {clustr: weelo-staging}}\n",
		"no YAML":                                  where + "image: {\n",
		"a wrong way to roll back":                 "cluster: a\nservice: b\nrelease: {rollback: sometimes}\n",
		"a container beside a wrong environment":   where + "task: {container: \"a b\", environment: 3}\n",
		"a section that is no mapping but a value": "cluster: a\nservice: b\nrelease: 3\n",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := Load(Options{Dir: write(t, text), Lenient: true}); err == nil {
				t.Errorf("taken, without %q", c.LeftOut)
			}
		})
	}
	dir := write(t, where)
	if _, err := Load(Options{Dir: dir, Lenient: true, Environ: []string{"WEELO_DEPLOY_CLUSTR=staging"}}); err == nil {
		t.Error("a misspelt variable is taken")
	}
}

func TestLoad_whatIsLeftOutStaysSecret(t *testing.T) {
	c, err := Load(Options{Dir: write(t, where+"task: {environment: {A: hunter2-hunter2, B: \"${NOT_SET}\"}}\n"), Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(c.SecretValues(), "hunter2-hunter2") {
		t.Errorf("secrets = %q", c.SecretValues())
	}
	_, err = Load(Options{Dir: write(t, "account: 1\ntask: {environment: {A: hunter2-hunter2, B: 3}}\n"), Lenient: true})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v", err)
	}
}
