package secrets

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Store is the parameters and secrets of one account in one region.
type Store struct {
	account, region string
	now             func() time.Time

	mu         sync.Mutex
	parameters map[string]*parameter
	secrets    map[string]*secret // by name
}

// New makes an empty store.
func New(account, region string, now func() time.Time) *Store {
	return &Store{account: account, region: region, now: now, parameters: map[string]*parameter{}, secrets: map[string]*secret{}}
}

// state is the store as it is kept over a restart.
type state struct {
	Parameters map[string]*parameter `json:"parameters"`
	Secrets    map[string]*secret    `json:"secrets"`
}

// Save gives all that the store holds.
func (s *Store) Save() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.Marshal(state{s.parameters, s.secrets})
}

// Load puts what Save gave in the place of all that the store holds.
func (s *Store) Load(saved json.RawMessage) error {
	var st state
	if err := json.Unmarshal(saved, &st); err != nil {
		return fmt.Errorf("read parameters and secrets: %w", err)
	}
	for name, p := range st.Parameters {
		if p == nil || len(p.Versions) == 0 {
			return fmt.Errorf("read parameters: %s has no value", name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parameters, s.secrets = map[string]*parameter{}, map[string]*secret{}
	maps.Copy(s.parameters, st.Parameters)
	maps.Copy(s.secrets, st.Secrets)
	return nil
}

// tag is a tag as both services write it.
type tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

// page cuts a list of names at what a token says was told before. The token is
// the last name that was.
func page(names []string, token string, most int) (now []string, next *string) {
	slices.Sort(names)
	from, found := slices.BinarySearch(names, token)
	if found {
		from++
	}
	names = names[from:]
	if len(names) <= most {
		return names, nil
	}
	return names[:most], &names[most-1]
}

// amount is how many results a request wants, of at most the given number.
func amount(asked *int32, most int) int {
	if asked == nil || *asked < 1 || int(*asked) > most {
		return most
	}
	return int(*asked)
}

// letters that Secrets Manager puts after a secret's name in its ARN.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func suffix() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b)
}
