package main

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// leak is what a careless container prints: an environment value of the seed's
// definition, values of the script's configuration, a header and a URL.
const leak = "connecting as canary-env-value, canary-config-value\n" +
	"> Authorization: Bearer canaryBearerToken123\n" +
	"connect postgres://app:canary-log-url@db/x\n"

// cmdNoCanary: no-canary FILE… — no file holds the word canary, with which the
// planted secrets begin.
func cmdNoCanary(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: no-canary FILE…")
	}
	for _, file := range args {
		for i, l := range strings.Split(ts.ReadFile(file), "\n") {
			if strings.Contains(strings.ToLower(l), "canary") {
				ts.Fatalf("%s:%d shows a secret: %s", file, i+1, l)
			}
		}
	}
}
