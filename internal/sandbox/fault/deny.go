package fault

import (
	"bytes"
	"path"
	"strings"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// The permissions that the registry's own protocol takes.
var (
	pushes = []string{"ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"}
	pulls  = []string{"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
)

// passRole is the permission to give a task its roles. No operation has its name.
const passRole = "iam:PassRole"

// Denies says whether a rule takes away the permission for an IAM action.
func (s *Set) Denies(action string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.rules {
		// IAM's actions are compared without regard to case; they have no slash.
		if ok, err := path.Match(strings.ToLower(a.Deny), strings.ToLower(action)); ok && err == nil && a.Deny != "" {
			a.noteDeed(action)
			return true
		}
	}
	return false
}

// forbids says whether a call needs a permission that a rule has taken away.
func (s *Set) forbids(c awsjson.Call) (action string, denied bool) {
	if action = c.Service + ":" + c.Operation; s.Denies(action) {
		return action, true
	}
	// The roles of a task definition are passed when it is registered.
	if c.Operation == "RegisterTaskDefinition" && bytes.Contains(c.Body, []byte(`RoleArn"`)) {
		return passRole, s.Denies(passRole)
	}
	return action, false
}
