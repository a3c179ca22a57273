package taskdef

import "testing"

func TestContainer_InVolume(t *testing.T) {
	for _, c := range []struct {
		entryPoint, command []string
		want                string
	}{
		{[]string{"/shared/wrapper", "/app"}, nil, "/shared/wrapper"},
		{[]string{"/shared/../shared/bin/x"}, nil, "/shared/bin/x"},
		{nil, []string{"/shared/wrapper"}, "/shared/wrapper"},
		{[]string{"/app"}, []string{"/shared/config"}, ""},
		{[]string{"/sharedother"}, nil, ""},
		{[]string{"/shared"}, nil, ""},
		{[]string{"shared/wrapper"}, nil, ""},
		{nil, nil, ""},
	} {
		got, ok := Container{EntryPoint: c.entryPoint, Command: c.command, Mounts: []string{"/var/data", "/shared/"}}.InVolume()
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("entry point %q, command %q: %q %v, want %q", c.entryPoint, c.command, got, ok, c.want)
		}
	}
}
