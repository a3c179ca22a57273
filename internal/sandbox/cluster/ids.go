package cluster

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// newTaskID makes an id like AWS's: 32 hexadecimal digits.
func newTaskID() string {
	return hex.EncodeToString(random(16))
}

// derivedUUID makes a UUID that is always the same for the same words.
func derivedUUID(words ...string) string {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s", len(w), w)
	}
	return awsjson.FormatUUID([16]byte(h.Sum(nil)))
}

// newNumber makes a number of 19 digits, as deployments and service revisions
// are called by.
func newNumber() string {
	n := new(big.Int).SetBytes(random(12))
	span := new(big.Int).SetUint64(9_000_000_000_000_000_000)
	n.Mod(n, span).Add(n, new(big.Int).SetUint64(1_000_000_000_000_000_000))
	return n.String()
}

func newDeploymentID() string { return "ecs-svc/" + newNumber() }

// newServiceDeploymentID makes an id of 21 characters.
func newServiceDeploymentID() string {
	return base64.RawURLEncoding.EncodeToString(random(16))[:21]
}

// newHookID makes an id of a hook at work: ecs-{hookType}-{id}, as ECS checks it
// (Troubleshooting Amazon ECS blue/green deployments).
func newHookID(hookType string) string {
	kind := "lambda"
	if hookType == scheduler.HookPause {
		kind = "pause"
	}
	return "ecs-" + kind + "-" + base64.RawURLEncoding.EncodeToString(random(32))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
