package redact

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

func TestPatterns(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"password in a URL":                   {"dial postgres://app:p4ss@db:5432/x failed", "dial postgres://***@db:5432/x failed"},
		"password with a slash and an at":     {"redis://u:a/b@c@cache:6379/0", "redis://***@cache:6379/0"},
		"token as the user":                   {"clone https://ghs123@github.com/a/b", "clone https://***@github.com/a/b"},
		"user of ssh is a name":               {"via ssh://deploy@build-host", "via ssh://deploy@build-host"},
		"port and at in the path":             {"get http://localhost:8080/a@b", "get http://localhost:8080/a@b"},
		"digest reference":                    {"127.0.0.1:5000/orders@sha256:abcd", "127.0.0.1:5000/orders@sha256:abcd"},
		"authorization header":                {"> Authorization: AWS4-HMAC-SHA256 Credential=AK/x, Signature=00ff", "> Authorization: ***"},
		"authorization in JSON":               {`{"authorization":"Bearer abc.def","n":1}`, `{"authorization":"***","n":1}`},
		"bare bearer token":                   {"sent bearer Zm9vYmFyYmF6 to x", "sent bearer *** to x"},
		"basic authentication, the words":     {"no basic authentication given", "no basic authentication given"},
		"environment listing":                 {"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG PATH=/bin", "AWS_SECRET_ACCESS_KEY=*** PATH=/bin"},
		"environment as YAML":                 {"DB_PASSWORD: hunter2", "DB_PASSWORD: ***"},
		"environment as JSON":                 {`"db_password": "hun ter2", "a": "b"`, `"db_password": ***, "a": "b"`},
		"npm token":                           {"//registry.npmjs.org/:_authToken=npm_abcdefghij0123456789", "//registry.npmjs.org/:_authToken=***"},
		"ECR password":                        {"docker login -p QVdTOmV5SndZWGxzYjJGa0lqb2k=", "docker login -p ***"},
		"JSON web token":                      {"got eyJhbGciOiJIUzI1NiIsInR5.eyJzdWIiOiIx.c2ln!", "got ***!"},
		"private key":                         {"a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", "a *** b"},
		"slack hook":                          {"post https://hooks.slack.com/services/T0/B0/xyz", "post https://hooks.slack.com/***"},
		"reference to a secret":               {"DB_PASSWORD: arn:aws:secretsmanager:x:1:secret:y", "DB_PASSWORD: arn:aws:secretsmanager:x:1:secret:y"},
		"value hidden by us":                  {"~ API_TOKEN: (changed, masked)", "~ API_TOKEN: (changed, masked)"},
		"presigned URL":                       {"https://s3/x?X-Amz-Signature=00ff&a=b", "https://s3/x?X-Amz-Signature=***&a=b"},
		"plain prose about tokens and errors": {"token expired: unexpected token } in JSON", "token expired: unexpected token } in JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Patterns(c.in); got != c.want {
				t.Errorf("Patterns(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestRedactor(t *testing.T) {
	const secret = `s3c"ret value/1`
	r := New(secret, "line-one-x\nline-two-y", "s3c", "abcdef", "abcdefgh")
	for name, in := range map[string]string{
		"as it is":       secret,
		"in a URL query": url.QueryEscape(secret),
		"in JSON":        `s3c\"ret value/1`,
		"as base64":      base64.StdEncoding.EncodeToString([]byte(secret)),
		"one line of it": "line-two-y",
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.String("<" + in + ">"); got != "<"+Mask+">" {
				t.Errorf("String(<%s>) = %q, want it masked", in, got)
			}
		})
	}
	t.Run("the longer of two that share a prefix wins", func(t *testing.T) {
		if got := r.String("abcdefgh"); got != Mask {
			t.Errorf("got %q, want only the mask", got)
		}
	})
	t.Run("a value too short to hide stays", func(t *testing.T) {
		if got := r.String("s3c"); got != "s3c" {
			t.Errorf("got %q, want it unchanged", got)
		}
	})
	t.Run("nil knows patterns only", func(t *testing.T) {
		var none *Redactor
		if got := none.String("x https://a:b@c"); got != "x https://***@c" {
			t.Errorf("got %q", got)
		}
	})
}

func TestSecretName(t *testing.T) {
	for _, n := range []string{"DB_PASSWORD", "JWT_SECRET", "API_KEY", "GITHUB_TOKEN", "apiKey", "SENTRY_DSN", "STRIPE_KEY", "PASS", "SLACK_WEBHOOK"} {
		if !SecretName(n) {
			t.Errorf("SecretName(%q) = false, want true", n)
		}
	}
	for _, n := range []string{"NODE_ENV", "LOG_LEVEL", "PORT", "KEYSPACE", "PASSENGERS", "MONKEY"} {
		if SecretName(n) {
			t.Errorf("SecretName(%q) = true, want false", n)
		}
	}
}

// FuzzRedactor: a known value never survives, whatever stands around it.
func FuzzRedactor(f *testing.F) {
	f.Add("a", "b")
	f.Add("://u:", "@host")
	f.Add("TOKEN=", "x")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "Zx9-canary-Qw7"
		got := New(secret).String(before + secret + after)
		if strings.Contains(got, secret) && !strings.Contains(before+Mask+after, secret) {
			t.Errorf("String left the secret in %q", got)
		}
	})
}
