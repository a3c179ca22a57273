package definition

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// Store holds the revisions of all families.
type Store struct {
	prefix   string // of the ARNs
	owner    string // registeredBy
	families map[string]*family
}

type family struct {
	revisions []*Definition // by number
	last      int           // highest number ever given
}

// NewStore returns an empty store for an account and a region.
func NewStore(account, region string) *Store {
	return &Store{
		prefix:   fmt.Sprintf("arn:aws:ecs:%s:%s:task-definition/", region, account),
		owner:    fmt.Sprintf("arn:aws:iam::%s:root", account),
		families: make(map[string]*family),
	}
}

// Register adds a revision: body is the request of RegisterTaskDefinition.
// Numbers are never given twice. The error is one of the API's.
func (s *Store) Register(body []byte, now time.Time) (*Definition, error) {
	d, err := s.parse(body)
	if err != nil {
		return nil, err
	}
	if err := check(d, len(body)); err != nil {
		return nil, err
	}
	return s.add(d, s.family(d.Family).last+1, now), nil
}

// Put adds a revision under a number of its own, as a record of the past. The
// number must be above those that the family has.
func (s *Store) Put(body []byte, revision int, at time.Time) (*Definition, error) {
	d, err := s.parse(body)
	if err != nil {
		return nil, err
	}
	if err := check(d, len(body)); err != nil {
		return nil, err
	}
	if last := s.family(d.Family).last; revision <= last {
		return nil, fmt.Errorf("revision %d of task definition %s: revision %d is there already", revision, d.Family, last)
	}
	return s.add(d, revision, at), nil
}

func (s *Store) parse(body []byte) (*Definition, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, &awsjson.SerializationError{Reason: err.Error()}
	}
	d := &Definition{registered: o.without("tags")}
	if err := awsjson.Unmarshal(body, &d.Task); err != nil {
		return nil, err
	}
	var tags struct{ Tags []types.Tag }
	if err := awsjson.Unmarshal(body, &tags); err != nil {
		return nil, err
	}
	d.Tags = tags.Tags
	if d.Task.Family != nil {
		d.Family = *d.Task.Family
	}
	return d, nil
}

func (s *Store) family(name string) *family {
	if f := s.families[name]; f != nil {
		return f
	}
	return &family{}
}

func (s *Store) add(d *Definition, revision int, at time.Time) *Definition {
	f := s.family(d.Family)
	s.families[d.Family] = f
	d.Revision, d.Registered, d.RegisteredBy, d.Active = revision, at, s.owner, true
	d.ARN = s.prefix + d.Name()
	f.last = revision
	f.revisions = append(f.revisions, d)
	return d
}

// Get finds a revision by ARN, by family:revision, or by family, which means
// its latest ACTIVE one. It returns nil when there is none.
func (s *Store) Get(ref string) *Definition {
	name, revision, ok := s.split(ref)
	if !ok {
		return nil
	}
	for _, d := range slices.Backward(s.family(name).revisions) {
		if d.Revision == revision || revision == 0 && d.Active {
			return d
		}
	}
	return nil
}

// split takes a reference apart; revision 0 means that none was given.
func (s *Store) split(ref string) (name string, revision int, ok bool) {
	if strings.HasPrefix(ref, "arn:") {
		if ref, ok = strings.CutPrefix(ref, s.prefix); !ok {
			return "", 0, false
		}
	}
	name, number, found := strings.Cut(ref, ":")
	if !found {
		return name, 0, true
	}
	revision, err := strconv.Atoi(number)
	return name, revision, err == nil && revision > 0
}

// Pinned reports whether a reference names one revision, not just a family.
func (s *Store) Pinned(ref string) bool {
	_, revision, ok := s.split(ref)
	return ok && revision > 0
}

// Deregister makes a revision INACTIVE. It stays describable.
func (s *Store) Deregister(d *Definition, now time.Time) {
	if d.Active {
		d.Active, d.Deregistered = false, now
	}
}

// List returns the revisions of a family (empty: of all), by family and
// number, those with the given status only.
func (s *Store) List(familyName string, active bool) []*Definition {
	var list []*Definition
	for _, name := range slices.Sorted(maps.Keys(s.families)) {
		if familyName != "" && name != familyName {
			continue
		}
		for _, d := range s.families[name].revisions {
			if d.Active == active {
				list = append(list, d)
			}
		}
	}
	return list
}

// Families returns the names that begin with prefix, sorted, and whether each
// has an ACTIVE revision.
func (s *Store) Families(prefix string) (names []string, active map[string]bool) {
	active = make(map[string]bool)
	for name, f := range s.families {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		names = append(names, name)
		active[name] = slices.ContainsFunc(f.revisions, func(d *Definition) bool { return d.Active })
	}
	slices.SortFunc(names, cmp.Compare)
	return names, active
}

// Body is a RegisterTaskDefinition request from a family's name and the other
// members.
func Body(familyName string, members json.RawMessage) (json.RawMessage, error) {
	o, err := parseObject(members)
	if err != nil {
		return nil, err
	}
	o.set("family", encode(familyName))
	return o.json(), nil
}
