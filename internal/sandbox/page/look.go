package page

import (
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is drawn. Whatever else there is can be found by its name.
const (
	openByItself = 3   // services are open by themselves when there are no more
	mostOpen     = 8   // services that may be open at once
	mostServices = 120 // services in one line each
	mostLive     = 25  // tasks of a service
	mostStopped  = 10
	mostEvents   = 60
	mostLines    = 150
	mostDots     = 60
	mostCalls    = 400 // looked at; those alike are one row
	mostRows     = 24
	mostImages   = 12 // of a repository
	mostShelves  = 40 // repositories
	mostFaults   = 50
	mostSeconds  = 60 // of traffic
	maxQuery     = 4096
)

// look is what a reader has opened. It is in the address of the page.
type look struct {
	open, shut []string // services, "cluster/name"
	source     Source   // whose lines are shown, instead of all of its service's
	find       string
}

func parseLook(q url.Values) look {
	l := look{find: strings.TrimSpace(q.Get("find"))}
	l.open, l.shut = bounded(q["open"]), bounded(q["shut"])
	if p := strings.Split(q.Get("log"), "/"); len(p) >= 2 {
		p = append(p, "", "")
		l.source = Source{p[0], p[1], p[2], p[3]}
	}
	return l
}

func bounded(list []string) []string {
	if len(list) > mostOpen {
		list = list[len(list)-mostOpen:]
	}
	return slices.Clone(list)
}

// query is the look as an address; "?" for the look that nobody has changed.
func (l look) query() string {
	q := url.Values{}
	if len(l.open) > 0 {
		q["open"] = l.open
	}
	if len(l.shut) > 0 {
		q["shut"] = l.shut
	}
	if s := l.source; s.Service != "" {
		q.Set("log", s.key())
	}
	if l.find != "" {
		q.Set("find", l.find)
	}
	return "?" + q.Encode()
}

// shows says whether a service is open, of so many.
func (l look) shows(key string, services int) bool {
	if slices.Contains(l.shut, key) {
		return false
	}
	return services <= openByItself || slices.Contains(l.open, key)
}

// turned is the look after a service was opened or closed.
func (l look) turned(key string, isOpen bool) look {
	without := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == key })
	}
	l.open, l.shut = without(l.open), without(l.shut)
	if isOpen {
		l.shut = bounded(append(l.shut, key))
	} else {
		l.open = bounded(append(l.open, key))
	}
	return l
}

func (l look) reading(s Source) look {
	l.source = s
	return l
}

func (s Source) key() string {
	k := s.Cluster + "/" + s.Service
	if s.Task != "" {
		k += "/" + s.Task
	}
	if s.Container != "" {
		k += "/" + s.Container
	}
	return k
}

func (s Service) key() string { return s.Cluster + "/" + s.Name }

// id is a service's part of the ids of its parts.
func (s Service) id() string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(s.key())) // never fails
	return "s" + strconv.FormatUint(sum.Sum64(), 36)
}
