package scan

import (
	"fmt"
	"path"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/native"
)

// application judges libraries and programs that lie in the application's own
// folder, outside of any package manager's. A bundler may have copied them
// there; a group of builds for several platforms needs one that fits.
func (j *judge) application(v *inventory) {
	groups := map[string][]file{}
	for _, f := range v.loose {
		if k := looseKey(f.path); !j.told[f.path] {
			groups[k] = append(groups[k], f)
		}
	}
	for _, g := range sortedKeys(groups) {
		var foreign []file
		fit := false
		for _, f := range groups[g] {
			if j.fits(f, j.clib) || f.Binary.OS == "" {
				fit = true
			} else {
				foreign = append(foreign, f)
			}
		}
		if fit || len(foreign) == 0 {
			continue
		}
		j.mention(foreign)
		j.looseFinding(foreign)
	}
}

// looseKey is a path without what differs between builds for platforms.
func looseKey(p string) string {
	base := path.Base(p)
	for _, ext := range []string{".so", ".dylib", ".dll", ".exe"} {
		base, _, _ = strings.Cut(base, ext)
	}
	return stem(path.Dir(p)) + "/" + stem(strings.TrimPrefix(base, "lib"))
}

func (j *judge) looseFinding(files []file) {
	f := files[0]
	out := Finding{
		Level: Warning, Rule: "application-foreign", Path: f.path, What: describe(f.Binary), Want: j.want(j.clib),
		Why: "it lies in the application's folder, where something may start it", Mend: []string{"build it in the image's own build", "leave it out: add it to .dockerignore"},
	}
	library := f.Binary.Kind == native.Library && f.Binary.Interp == "" && (strings.Contains(path.Base(f.path), ".so") || strings.HasSuffix(f.path, ".dylib"))
	if library {
		out.Level = Error
		out.Why = "it lies in the application's folder, and no build of it fits" + j.because(f, j.clib)
	}
	j.add(out)
}

// maxNotes is how many groups of foreign files are noted.
const maxNotes = 25

// foreign notes the binaries for other machines that nothing is known to load:
// cross compilers, firmware, installers' stubs, test data. They harm nothing.
func (j *judge) foreign() {
	groups := map[string][]file{}
	for p, n := range j.tree.All() {
		if n.Kind != layer.Binary || n.Binary.Kind == native.Core || n.Binary.Runs(j.target.OS, j.target.Arch) || j.told[p] || j.told[place(p)] {
			continue
		}
		groups[place(p)] = append(groups[place(p)], file{p, n})
	}
	for i, k := range sortedKeys(groups) {
		if i == maxNotes {
			j.add(Finding{Level: Note, Rule: "foreign", Path: "/", What: fmt.Sprintf("an image with %d more folders of such files", len(groups)-maxNotes)})
			return
		}
		g := groups[k]
		f := Finding{Level: Note, Rule: "foreign", Path: g[0].path, What: describe(g[0].Binary), Why: "nothing that is known to start loads it"}
		if len(g) > 1 {
			f.Path, f.What = k, fmt.Sprintf("a folder with %d binaries for other machines", len(g))
			f.Why = "nothing that is known to start loads them: " + list(g)
		}
		j.add(f)
	}
}

// place is the folder that a note speaks of: a package's, or three levels.
func place(p string) string {
	if strings.Contains(p, "/node_modules/") {
		return owner(p)
	}
	if strings.Contains(p, "/site-packages/") || strings.Contains(p, "/dist-packages/") {
		return distribution(p)
	}
	parts := strings.Split(strings.Trim(path.Dir(p), "/"), "/")
	return "/" + strings.Join(parts[:min(3, len(parts))], "/")
}
