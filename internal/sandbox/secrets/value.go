package secrets

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Value reads what a secret's valueFrom names in a task definition: the name or
// ARN of a parameter, or the ARN of a secret with, behind it, a JSON key, a
// version stage and a version id, each of which may be empty:
//
//	arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-AbCdEf:key:stage:version
//
// The error's text is what ECS says after "execution resource retrieval failed:".
func (s *Store) Value(from string) (string, error) {
	if strings.HasPrefix(from, "arn:") && strings.Contains(from, ":secretsmanager:") {
		return s.secretValue(from)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(from, true)
	if err != nil {
		return "", fmt.Errorf("unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid parameters: %s", from)
	}
	return p.Value, nil
}

func (s *Store) secretValue(from string) (string, error) {
	arn, key, stage, version := splitSecret(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	v, _, err := s.read(arn, stage, version)
	if err != nil {
		return "", fmt.Errorf("unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret %s from secrets manager: %w", arn, err)
	}
	value := v.value()
	if key == "" {
		return value, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(value), &members); err != nil {
		return "", fmt.Errorf("unable to retrieve secret from asm: service call has been retried 1 time(s): %w", err)
	}
	member, ok := members[key]
	if !ok {
		return "", fmt.Errorf("unable to retrieve secret from asm: service call has been retried 1 time(s): retrieved secret from Secrets Manager did not contain json key %s", key)
	}
	var text string
	if json.Unmarshal(member, &text) == nil {
		return text, nil
	}
	return string(member), nil
}

// splitSecret takes a valueFrom apart. An ARN has seven parts.
func splitSecret(from string) (arn, key, stage, version string) {
	const arnParts = 7
	parts := append(strings.Split(from, ":"), "", "", "")
	end := min(arnParts, len(parts)-3)
	rest := parts[end:]
	return strings.Join(parts[:end], ":"), rest[0], rest[1], rest[2]
}
