package config

import (
	"slices"
	"testing"
)

func TestSecretVariables(t *testing.T) {
	got := SecretVariables([]string{
		"NPM_TOKEN=npm_9f8e7d6c", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "AWS_SECRET_ACCESS_KEY=sandbox", "PATH=/usr/bin", "EMPTY_TOKEN=", "DB_PASSWORD=a=b=c", "PWD=/home/ana/shop", "OLDPWD=/home/ana", "DB_PWD=x9y8z7w6",
	})
	if want := []string{"npm_9f8e7d6c", "wJalrXUtnFEMI", "a=b=c", "x9y8z7w6"}; !slices.Equal(got, want) {
		t.Errorf("SecretVariables() = %q, want %q", got, want)
	}
}
