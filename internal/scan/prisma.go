package scan

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/native"
)

// engineName matches the files of Prisma's engines; the target is in the name
// (@prisma/get-platform, binaryTargets).
var engineName = regexp.MustCompile(`^(?:lib)?(query|schema|migration|introspection)[-_]engine-((?:debian|rhel|linux|darwin|windows|freebsd|arm)[a-z0-9.-]*?)(?:\.so|\.dylib|\.dll)?(?:\.node|\.exe)?$`)

func isEngine(p string) bool { return engineName.MatchString(path.Base(p)) }

// engineOf takes the kind and the target out of an engine's file name.
func engineOf(p string) (kind, target string) {
	m := engineName.FindStringSubmatch(path.Base(p))
	if m == nil {
		return "", ""
	}
	return m[1], strings.TrimSuffix(m[2], ".so")
}

// prisma judges query engines. The client computes the name of the engine that
// it loads from the distribution, the processor and OpenSSL, and takes no other.
func (j *judge) prisma(v *inventory) {
	byRoot := map[string][]file{}
	for _, f := range v.engines {
		kind, _ := engineOf(f.path)
		if kind != "query" {
			j.schemaEngine(v, f)
			continue
		}
		root, _, _ := strings.Cut(f.path, "/node_modules/")
		if !strings.Contains(f.path, "/node_modules/") {
			root = path.Dir(f.path)
		}
		byRoot[root] = append(byRoot[root], f)
	}
	for _, r := range sortedKeys(byRoot) {
		j.engines(v, byRoot[r])
	}
}

// engines judges the query engines of one application.
func (j *judge) engines(v *inventory, all []file) {
	wants := j.prismaTargets()
	var good, rest []file
	for _, f := range all {
		if _, t := engineOf(f.path); slices.Contains(wants, t) {
			good = append(good, f)
		} else {
			rest = append(rest, f)
		}
	}
	j.mention(all)
	level := j.nodeLevel(v, owner(all[0].path))
	for _, f := range good {
		j.engine(f, level)
	}
	if len(good) > 0 {
		if len(rest) > 0 {
			j.add(Finding{Level: Note, Rule: "addon-foreign", Path: path.Dir(rest[0].path), What: "a folder with Prisma engines for other platforms beside the one that fits", Why: list(rest)})
		}
		return
	}
	f := client(rest)
	_, target := engineOf(f.path)
	j.add(Finding{
		Level: level, Rule: "prisma-engine", Path: f.path, What: fmt.Sprintf("Prisma's query engine for %s (%s)", target, f.Binary), Want: "the engine for " + strings.Join(wants, " or "),
		Why: "the client computes that name where it runs, and finds only: " + list(rest) + j.mild(v, owner(all[0].path)), LoadedBy: j.procs[node].path, Mend: prismaMend(wants[0]),
	})
}

// client prefers the copy that the generated client lies beside.
func client(files []file) file {
	for _, f := range files {
		if strings.Contains(f.path, "/.prisma/client/") {
			return f
		}
	}
	return files[0]
}

func prismaMend(target string) []string {
	return []string{
		fmt.Sprintf(`in schema.prisma: binaryTargets = ["native", %q], then npx prisma generate`, target),
		"run npx prisma generate in the image's own build, in the base image that runs",
	}
}

// engine judges the engine that the client takes by what is in it.
func (j *judge) engine(f file, level Level) {
	p := j.procs[node]
	clib := j.nodeCLib()
	if !j.fits(f, clib) {
		j.add(Finding{
			Level: level, Rule: "addon-wrong", Path: f.path, What: describe(f.Binary), Want: j.want(clib), LoadedBy: p.path,
			Why: "its name says that it fits, and the client goes by the name" + j.because(f, clib), Mend: prismaMend(j.prismaTargets()[0]),
		})
		return
	}
	if slices.Contains(f.Binary.Needed, "libssl.so.1.1") && j.nodeMajor() >= 17 {
		j.add(Finding{
			Level: Warning, Rule: "prisma-openssl", Path: f.path, What: "a Prisma engine that loads OpenSSL 1.1", Want: "one for OpenSSL 3, which Node has had inside since version 17", LoadedBy: p.path,
			Why: "two OpenSSL in one process crash with SIGSEGV, exit code 139 (prisma/prisma#10649)", Mend: prismaMend(j.prismaTargets()[0]),
		})
	}
	j.needs(f, level, p)
}

// schemaEngine runs in migrations only, as a program of its own.
func (j *judge) schemaEngine(v *inventory, f file) {
	_, t := engineOf(f.path)
	j.mention([]file{f})
	if slices.Contains(j.prismaTargets(), t) && !j.fits(f, j.nodeCLib()) {
		j.add(Finding{
			Level: Warning, Rule: "addon-wrong", Path: f.path, What: describe(f.Binary), Want: j.want(j.clib), LoadedBy: "prisma migrate",
			Why: "migrations that are run in this image cannot start it", Mend: prismaMend(t),
		})
	}
}

// prismaTargets are the names that the client may compute in this image, the
// likeliest first. Without a libssl it guesses, so all are allowed then.
func (j *judge) prismaTargets() []string {
	versions := []string{"3.0.x", "1.1.x", "1.0.x"}
	if v := j.openssl(); v != "" {
		versions = []string{v}
	}
	var out []string
	for _, ssl := range versions {
		out = append(out, j.prismaTarget(ssl))
	}
	return out
}

func (j *judge) prismaTarget(ssl string) string {
	arm := j.target.Arch == "arm64"
	switch {
	case j.nodeCLib() == native.Musl && arm:
		return "linux-musl-arm64-openssl-" + ssl
	case j.nodeCLib() == native.Musl && ssl == "3.0.x":
		return "linux-musl-openssl-3.0.x"
	case j.nodeCLib() == native.Musl:
		return "linux-musl"
	case arm:
		return "linux-arm64-openssl-" + ssl
	}
	return j.distro() + "-openssl-" + ssl
}

// distro is the family of distributions that Prisma compiles for.
func (j *judge) distro() string {
	for _, p := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		_, n := j.tree.Resolve(p)
		if n == nil || n.Kind != layer.Text {
			continue
		}
		for line := range strings.SplitSeq(n.Text, "\n") {
			k, val, _ := strings.Cut(line, "=")
			if k != "ID" && k != "ID_LIKE" {
				continue
			}
			for id := range strings.FieldsSeq(strings.Trim(val, `"'`)) {
				if slices.Contains([]string{"rhel", "fedora", "centos", "amzn", "ol", "rocky", "almalinux"}, id) {
					return "rhel"
				}
			}
		}
	}
	return "debian"
}

// openssl is the version of the libssl that the loader finds.
func (j *judge) openssl() string {
	for _, v := range []struct{ soname, name string }{{"libssl.so.3", "3.0.x"}, {"libssl.so.1.1", "1.1.x"}, {"libssl.so.10", "1.0.x"}, {"libssl.so.1.0.0", "1.0.x"}} {
		if f, _ := j.find("/", v.soname, nil, j.nodeCLib()); f != nil {
			return v.name
		}
	}
	return ""
}

// nodeMajor is Node's version where the image says it, as the official images do.
func (j *judge) nodeMajor() int {
	n := 0
	fmt.Sscanf(strings.TrimPrefix(j.env["NODE_VERSION"], "v"), "%d.", &n)
	return n
}
