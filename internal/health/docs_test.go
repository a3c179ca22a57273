package health

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

const failureCodes = "../../docs/failure-codes.md"

func readDocs(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(failureCodes)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var exitCode = regexp.MustCompile(`^EXIT_(-?\d+)(_SIG[A-Z0-9]+)?$`)

// documentedCodes says whether a code is in docs/failure-codes.md, by itself or as
// one of the family of exits.
func documentedCodes(t testing.TB) func(event.Code) bool {
	var codes []event.Code
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)`").FindAllStringSubmatch(readDocs(t), -1) {
		codes = append(codes, event.Code(m[1]))
	}
	if len(codes) < 40 {
		t.Fatalf("%s documents %d codes, which cannot be all", failureCodes, len(codes))
	}
	return func(c event.Code) bool {
		if m := exitCode.FindStringSubmatch(string(c)); m != nil {
			n, err := strconv.Atoi(m[1])
			return err == nil && ExitCode(n) == c
		}
		return slices.Contains(codes, c)
	}
}

// An example in docs/failure-codes.md: "- `CODE`, weight: `what ECS says`". What
// ECS says is "exit 139", "exit 1, log: …", a stop code and a text, or a text.
var (
	docExample = regexp.MustCompile("(?m)^- `([A-Z0-9_]+)`, (fatal|counts|waits|ignored): `(.+)`$")
	docExit    = regexp.MustCompile(`^exit (\d+)(?:, log: (.+))?$`)
	docStopped = regexp.MustCompile(`^(UserInitiated|ServiceSchedulerInitiated|SpotInterruption|TerminationNotice|InfrastructureHealth)(?:: (.+))?$`)
)

// The examples in the documentation are classified as it says, whether ECS puts
// the text where Fargate or where EC2 has it.
func TestDocumentedExamplesAreClassifiedSo(t *testing.T) {
	shown := map[event.Code]bool{}
	for _, m := range docExample.FindAllStringSubmatch(readDocs(t), -1) {
		code, weight, said := event.Code(m[1]), m[2], m[3]
		shown[code] = true
		for _, facts := range exampleFacts(said) {
			if got := Classify(facts); got.Code != code || got.Weight.String() != weight {
				t.Errorf("%q is %s, %s; documented as %s, %s", said, got.Code, got.Weight, code, weight)
			} else if got.Weight > Ignored && len(got.Hints) == 0 {
				t.Errorf("%s of %q has no hint", got.Code, said)
			}
		}
	}
	var missing []string
	for _, r := range rules {
		if !shown[r.code] {
			missing = append(missing, string(r.code))
		}
	}
	for _, c := range []event.Code{event.CodeScaledIn, event.CodeRescheduled, event.CodeSpot, event.CodeHostRetired, event.CodeStoppedByUser,
		event.CodeWorkDone, event.CodeTaskFailed, "EXIT_139_SIGSEGV", "EXIT_132_SIGILL", "EXIT_135_SIGBUS", "EXIT_134_SIGABRT",
		"EXIT_137_SIGKILL", "EXIT_143_SIGTERM", "EXIT_126", "EXIT_127", "EXIT_255", "EXIT_1"} {
		if !shown[c] {
			missing = append(missing, string(c))
		}
	}
	if len(missing) > 0 {
		t.Errorf("%s has no example for %s", failureCodes, strings.Join(missing, ", "))
	}
}

func exampleFacts(said string) []Facts {
	if m := docExit.FindStringSubmatch(said); m != nil {
		n, _ := strconv.Atoi(m[1])
		f := Facts{Task: dead(types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", exited(int32(n)))}
		if m[2] != "" {
			f.LogTail = []string{m[2]}
		}
		f.HealthySeen = n == 0
		return []Facts{f}
	}
	if m := docStopped.FindStringSubmatch(said); m != nil {
		return []Facts{{Task: dead(types.TaskStopCode(m[1]), m[2], exited(137))}}
	}
	return []Facts{
		{Task: dead("", said, types.Container{})},
		{Task: dead("", "Task failed to start", types.Container{Reason: &said})},
	}
}
