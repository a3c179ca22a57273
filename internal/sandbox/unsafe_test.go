package sandbox

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
)

// Whoever reaches a sandbox may use it. What else listens on this machine's loopback
// is not theirs, unless they are on this machine and reach it anyhow.
func TestServer_leadsOtherMachinesToNoProgramOfThisOne(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  Config
		open bool
	}{
		"on loopback":      {Config{}, true},
		"on all addresses": {Config{Listen: "0.0.0.0:0", UnsafeListen: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, test.cfg)
			group, err := w.Balancer().CreateTargetGroup(balancer.TargetGroup{Name: "g", Protocol: "HTTP", Port: 80, TargetType: "ip"})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{"127.0.0.1", "127.8.9.1", "::1"} {
				_, err := elb.NewFromConfig(w.config).RegisterTargets(t.Context(), &elb.RegisterTargetsInput{
					TargetGroupArn: &group.ARN, Targets: []elbtypes.TargetDescription{{Id: aws.String(id), Port: aws.Int32(2375)}},
				})
				if (err == nil) != test.open {
					t.Errorf("registering %s gives %v", id, err)
				}
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL()+"/_sandbox/hooks", strings.NewReader(`{"function":"f","url":"http://127.0.0.1:2375/"}`))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := w.http.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if (answer.StatusCode == http.StatusCreated) != test.open {
				t.Errorf("a hook that asks a program of this machine is answered %s", answer.Status)
			}
		})
	}
}
