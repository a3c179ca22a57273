package builds

import (
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/snapshot"
)

// kept is what of a store lives through a restart.
type kept struct {
	projects map[string]Project
	builds   map[string]*build
	number   int64
}

// Save is the state as it is now.
func (s *Store) Save() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return snapshot.Marshal(&kept{s.projects, s.builds, s.number})
}

// Load takes a state that was saved, before anything else happens. A build that ran
// then has ended with the machine that it ran on.
func (s *Store) Load(raw json.RawMessage) error {
	var k kept
	if err := snapshot.Unmarshal(raw, &k); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.projects, s.builds, s.number = k.projects, k.builds, k.number
	for _, b := range s.builds {
		b.stop = func() {}
		s.finish(b, types.StatusTypeFault)
	}
	return nil
}
