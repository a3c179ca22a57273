package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/redact"
	"github.com/weelo/weelo-deploy/internal/release"
)

func TestRealValuesOfARehearsalAreMasked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("# real\nDATABASE_URL=postgres://app:hunter2@db/app\nPORT=3000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &session{redact: redact.New(), config: &config.Config{}}
	env, err := s.rehearsalEnvironment(release.Settings{Environment: map[string]string{"A": "real"}}, file)
	if err != nil || env["A"] != placeholder || env["DATABASE_URL"] != "postgres://app:hunter2@db/app" {
		t.Fatalf("environment = %v, %v", env, err)
	}
	for text, want := range map[string]string{
		"cannot reach postgres://app:hunter2@db/app": "cannot reach ***", "A is " + placeholder: "A is " + placeholder, "listens on 3000": "listens on 3000",
	} {
		if got := s.redact.String(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestAFoldersNameIsMadeOneThatAServiceCanHave(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]string{
		"/home/a/orders": "orders", "/home/a/My Orders (2)": "my-orders-2", "/home/a/x": "app-x", "/": "app",
		"/home/a/2024-shop": "app-2024-shop", "/home/a/Bücher": "b-cher", "/" + strings.Repeat("a", 70): strings.Repeat("a", 64),
	} {
		if got := nameOfFolder(dir); got != want {
			t.Errorf("the name of %s is %q, want %q", dir, got, want)
		}
	}
}

func TestRehearsal_ofAFolderWithoutConfigurationSupposesTheNames(t *testing.T) {
	d := sit(t, deskSeed)
	d.write("Shop API/Dockerfile", "FROM scratch\n")
	t.Chdir("Shop API")
	for _, v := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(v, "")
	}
	_, stderr, code := d.run("release", "--sandbox")
	if code != 4 { // the desk has no engine
		t.Errorf("it ends with %d", code)
	}
	wants(t, "stderr", stderr, "supposed for this rehearsal: cluster rehearsal, service shop-api, image.repository shop-api", "[NO_ENGINE]")
	_, stderr, _ = d.run("release", "--sandbox", "--service", "web")
	wants(t, "stderr", stderr, "supposed for this rehearsal: cluster rehearsal, image.repository shop-api")
	if _, stderr, code = d.run("release"); code != 2 {
		t.Errorf("a release without a name ends with %d", code)
	}
	wants(t, "stderr", stderr, "neither cluster nor service is named", "weelo-deploy release --sandbox")
}

func TestInit_withoutRegionOrCredentialsSaysHowToTryItWithoutAWS(t *testing.T) {
	d := sit(t, deskSeed)
	d.write("Dockerfile", "FROM scratch\n")
	for _, v := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(v, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	_, stderr, _ := d.run("init")
	wants(t, "stderr", stderr, "[CREDENTIALS]", "hint: to try it without AWS: weelo-deploy release --sandbox")
	for _, v := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(v, "")
	}
	_, stderr, _ = d.run("init")
	wants(t, "stderr", stderr, "no AWS region is set", "hint: to try it without AWS: weelo-deploy release --sandbox")
}
