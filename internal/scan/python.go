package scan

import (
	"fmt"
	"path"
	"strings"
)

// isExtension reports a Python extension module among installed packages. The
// libraries that wheels bring along ("numpy.libs") are no modules.
func isExtension(p string) bool {
	dir, base := path.Split(p)
	if !strings.Contains(p, "/site-packages/") && !strings.Contains(p, "/dist-packages/") || strings.Contains(dir, ".libs/") {
		return false
	}
	if strings.HasPrefix(base, "lib") && !strings.Contains(base, ".cpython-") && !strings.Contains(base, ".abi3.") {
		return false
	}
	return strings.HasSuffix(base, ".so") || strings.HasSuffix(base, ".pyd")
}

// extensions judges Python's extension modules, those of one name and folder
// together: a wheel for another platform brings the same module under another
// tag (PEP 3149).
func (j *judge) extensions(v *inventory) {
	groups := map[string][]file{}
	for _, f := range v.python {
		dir, base := path.Split(f.path)
		name, _, _ := strings.Cut(base, ".")
		groups[dir+name] = append(groups[dir+name], f)
	}
	proc := j.procs[python]
	clib := proc.clib
	if clib == "" {
		clib = j.clib
	}
	level := Error
	if !proc.runs {
		level = Warning
	}
	told := map[string]int{}
	for _, g := range sortedKeys(groups) {
		var good, foreign []file
		for _, f := range groups[g] {
			if j.fits(f, clib) {
				good = append(good, f)
			} else {
				foreign = append(foreign, f)
			}
		}
		j.mention(foreign)
		for _, f := range good {
			j.needs(f, Warning, proc) // optional modules often miss a library on purpose
		}
		if len(foreign) == 0 || len(good) > 0 {
			continue
		}
		dist := distribution(g)
		if told[dist]++; told[dist] > 1 {
			continue
		}
		j.add(Finding{
			Level: level, Rule: "extension-absent", Path: foreign[0].path, What: describe(foreign[0].Binary), Want: j.want(clib), LoadedBy: proc.path,
			Why:  fmt.Sprintf("Python package %s has no build of this module that fits", path.Base(dist)) + j.because(foreign[0], clib),
			Mend: []string{"run pip install in a stage of the final image's kind", "keep the host's .venv out of the image: add .venv to .dockerignore"},
		})
	}
}

// distribution is the folder right under site-packages that a path is in.
func distribution(p string) string {
	for _, mark := range []string{"/site-packages/", "/dist-packages/"} {
		if i := strings.LastIndex(p, mark); i >= 0 {
			name, _, _ := strings.Cut(p[i+len(mark):], "/")
			return p[:i+len(mark)] + name
		}
	}
	return p
}
