//go:build packages

package realtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// always are packages that npm installs on every platform.
var always = []string{
	"bcrypt@6.0.0", "node-addon-api@8.5.0", "node-gyp-build@4.8.4",
	"sharp@0.34.5", "@img/colour@1.0.0", "detect-libc@2.1.2", "semver@7.7.3",
	"esbuild@0.25.12", "@prisma/client@6.19.0", "@prisma/engines@6.19.0",
}

// perPlatform are those that npm installs for the machine that it runs on, named
// as npm's os, cpu and libc name it.
var perPlatform = map[string][]string{
	"linux-x64":     {"@img/sharp-linux-x64@0.34.5", "@img/sharp-libvips-linux-x64@1.2.4", "@esbuild/linux-x64@0.25.12"},
	"linuxmusl-x64": {"@img/sharp-linuxmusl-x64@0.34.5", "@img/sharp-libvips-linuxmusl-x64@1.2.4", "@esbuild/linux-x64@0.25.12"},
	"linux-arm64":   {"@img/sharp-linux-arm64@0.34.5", "@img/sharp-libvips-linux-arm64@1.2.4", "@esbuild/linux-arm64@0.25.12"},
	"darwin-arm64":  {"@img/sharp-darwin-arm64@0.34.5", "@img/sharp-libvips-darwin-arm64@1.2.4", "@esbuild/darwin-arm64@0.25.12"},
}

// engineFile is what Prisma's postinstall downloads for a platform. It is in no
// package, so the tests make one.
var engineFile = map[string]string{
	"linux-x64":     "libquery_engine-debian-openssl-3.0.x.so.node",
	"linuxmusl-x64": "libquery_engine-linux-musl-openssl-3.0.x.so.node",
	"linux-arm64":   "libquery_engine-linux-arm64-openssl-3.0.x.so.node",
	"darwin-arm64":  "libquery_engine-darwin-arm64.dylib.node",
}

// registry are the packed packages, fetched once for all tests.
var registry = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "weelo-packages-*")
	if err != nil {
		return "", err
	}
	specs := append([]string{}, always...)
	for _, of := range perPlatform {
		specs = append(specs, of...)
	}
	cmd := exec.Command("npm", append([]string{"pack", "--silent", "--pack-destination", dir}, unique(specs)...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("npm pack: %w\n%s", err, out)
	}
	return dir, nil
})

func unique(in []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range in {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// install lays a project's node_modules out as npm does on a platform, without the
// 70 MB of text in which @prisma/client hides its WASM engines.
func install(t *testing.T, dir, platform string) {
	t.Helper()
	packed, err := registry()
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range append(append([]string{}, always...), perPlatform[platform]...) {
		name, version := spec[:strings.LastIndex(spec, "@")], spec[strings.LastIndex(spec, "@")+1:]
		to := filepath.Join(dir, "node_modules", name)
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		file := strings.ReplaceAll(strings.TrimPrefix(name, "@"), "/", "-") + "-" + version + ".tgz"
		run(t, dir, "tar", "-xzf", filepath.Join(packed, file), "-C", to, "--strip-components=1", "--no-same-owner", "--exclude=*wasm-base64*")
	}
	client := filepath.Join(dir, "node_modules/.prisma/client")
	if err := os.MkdirAll(client, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, client, "index.js", "module.exports = {}\n")
	prismaEngine(t, filepath.Join(client, engineFile[platform]), platform)
}

// prismaEngine makes a file that is what Prisma's engine is on a platform: a
// library that asks for OpenSSL, or a program of Go's for another machine, whose
// kind does not matter any more.
func prismaEngine(t *testing.T, to, platform string) {
	t.Helper()
	switch platform {
	case "linux-x64":
		library(t, "gcc", to, "int query_engine(void) { return 1; }", "libssl.so.3", "libcrypto.so.3")
	case "linuxmusl-x64":
		library(t, "musl-gcc", to, "int query_engine(void) { return 1; }", "libssl.so.3", "libcrypto.so.3")
	default:
		goos, arch, _ := strings.Cut(platform, "-")
		cross(t, to, goos, arch)
	}
}

// library compiles a shared library that asks for others.
func library(t *testing.T, cc, to, source string, needs ...string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "l.c", source)
	write(t, dir, "none.c", "")
	args := []string{"-shared", "-fPIC", "-o", to, "l.c", "-Wl,--no-as-needed", "-L."}
	for _, n := range needs { // stands for the real one while we link
		run(t, dir, cc, "-shared", "-o", n, "none.c", "-nostdlib", "-Wl,-soname,"+n)
		args = append(args, "-l:"+n)
	}
	run(t, dir, cc, args...)
}

// cross compiles a program for another machine.
func cross(t *testing.T, to, goos, arch string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "main.go", "package main\n\nfunc main() {}\n")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", to, "main.go")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS="+goos, "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}
