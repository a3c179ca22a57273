package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/nearest"
	"github.com/weelo/weelo-deploy/internal/redact"
)

// unknown reports a key that nobody knows, with the nearest one that is known:
// here, or elsewhere in the configuration when it was only put in the wrong
// place.
func (d *decoder) unknown(pr pair, p place, fields []field) {
	where := ""
	if p.path != "" {
		where = " in " + p.path
	}
	known := names(fields)
	if p.path == "" {
		known = append(known, "environments")
	}
	d.hideUnknown(pr, known)
	hints := didYouMean(pr.key, known)
	if elsewhere := pathsOf(pr.key); len(hints) == 0 && len(elsewhere) > 0 {
		hints = []string{"did you mean " + strings.Join(elsewhere, " or ") + "?"}
	}
	if len(hints) == 0 {
		hints = []string{"known here: " + strings.Join(known, ", ")}
	}
	d.out.add(pr.at, fmt.Sprintf("unknown key %s%s", quote(pr.key), where), hints...)
}

// hideUnknown keeps a value out of the excerpt that may be a secret under a
// mistyped key.
func (d *decoder) hideUnknown(pr pair, known []string) {
	if d.src == nil {
		return
	}
	near := nearest.Names(pr.key, known, 1)
	near = append(near, nearest.Names(pr.key, secretKeys, 1)...)
	secret := slices.ContainsFunc(near, func(k string) bool { return slices.Contains(secretKeys, k) })
	if secret || pr.value.kind != scalar || redact.SecretName(pr.key) {
		d.src.hide(pr.value)
	}
}

// pathsOf are the dotted paths of all keys with this name.
func pathsOf(name string) []string {
	var out []string
	var walk func(t reflect.Type, prefix string)
	walk = func(t reflect.Type, prefix string) {
		for _, f := range fieldsOf(t) {
			if strings.EqualFold(f.name, name) {
				out = append(out, prefix+f.name)
			}
			if f.typ.Kind() == reflect.Struct {
				walk(f.typ, prefix+f.name+".")
			}
		}
	}
	walk(reflect.TypeFor[Settings](), "")
	slices.Sort(out)
	return out
}
