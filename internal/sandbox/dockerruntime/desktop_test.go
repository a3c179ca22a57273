package dockerruntime

import (
	"testing"

	"github.com/weelo/weelo-deploy/internal/engine"
)

func TestHostName_IsThatOfTheMachineAroundDockerDesktop(t *testing.T) {
	for system, want := range map[string]string{
		"Docker Desktop": "host.docker.internal", "Docker Desktop (containerized)": "host.docker.internal", "Debian GNU/Linux 12 (bookworm)": "", "Alpine Linux v3.20": "", "": "",
	} {
		if got := HostName(engine.Info{OperatingSystem: system}); got != want {
			t.Errorf("HostName of %q = %q, want %q", system, got, want)
		}
	}
}

func TestSpeaksHTTP(t *testing.T) {
	info := engine.Info{InsecureRegistries: []string{"127.0.0.0/8", "192.168.65.0/24", "host.docker.internal:8477"}}
	for host, want := range map[string]bool{
		"127.0.0.1:5000": true, "localhost:5000": true, "host.docker.internal:8477": true, "192.168.65.254:9000": true,
		"host.docker.internal:9000": false, "10.0.0.1:5000": false, "registry.example.com": false,
	} {
		if got := SpeaksHTTP(info, host); got != want {
			t.Errorf("SpeaksHTTP(%s) = %v, want %v", host, got, want)
		}
	}
}
