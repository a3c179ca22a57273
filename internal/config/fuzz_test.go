package config

import (
	"path/filepath"
	"testing"
)

// FuzzLoad: no file makes loading panic, and a file that loads can be used.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{full, everythingWrong, "", "a", "- a", "a: &a [*a]\n", "? [x]\n: y\n", "x: |\n  ${A\n", "image: {tags: [\"{{\"]}\n", "environments: {p: }\n", "\xef\xbb\xbfcluster: a\n", "a: 'é\u2028'\n"} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		put(t, filepath.Join(dir, FileName), string(text))
		o := Options{Dir: dir, Env: "p", Environ: []string{"HOME=/h", "A=b"}}
		c, err := Load(o)
		if err != nil {
			_ = report(err)
			o.Lenient = true
			if _, err := Load(o); err != nil {
				_ = report(err)
			}
			return
		}
		_, _ = c.ExpandTags(Vars{GitSHA: "0123456789", GitBranch: "main"})
		_ = c.SecretValues()
	})
}
