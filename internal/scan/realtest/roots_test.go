//go:build packages

package realtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// debian unpacks a root file system out of Debian's own packages: those that are
// named, with what they depend on; "?essential" is what every Debian has. Their
// scripts are not run, as in an image that is made of files.
func debian(t *testing.T, root string, packages ...string) {
	t.Helper()
	work := t.TempDir()
	for _, d := range []string{"debs/partial", "state"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, work, "state/status", "") // nothing is installed, so that everything is fetched
	args := []string{
		"-q", "-y", "-o", "Dir::State::status=" + filepath.Join(work, "state/status"), "-o", "Dir::Cache::archives=" + filepath.Join(work, "debs"),
		"-o", "APT::Install-Recommends=false", "-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root", "install", "--download-only",
	}
	run(t, work, "apt-get", append(args, packages...)...)
	debs, err := filepath.Glob(filepath.Join(work, "debs/*.deb"))
	if err != nil || len(debs) < 10 {
		t.Fatalf("apt-get fetched %d packages, %v", len(debs), err)
	}
	merged(t, root)
	for _, d := range debs {
		unpack(t, d, root)
	}
}

// merged makes the links that Debian's installer makes before it unpacks.
func merged(t *testing.T, root string) {
	t.Helper()
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(root, "usr", d), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("usr/"+d, filepath.Join(root, d)); err != nil {
			t.Fatal(err)
		}
	}
}

func unpack(t *testing.T, deb, root string) {
	t.Helper()
	pack, unpack := exec.Command("dpkg-deb", "--fsys-tarfile", deb), exec.Command("tar", "-x", "-C", root, "--keep-directory-symlink", "--no-same-owner", "--exclude=./usr/share/doc", "--exclude=./usr/share/locale", "--exclude=./usr/share/man")
	var said strings.Builder
	unpack.Stderr = &said
	var err error
	if unpack.Stdin, err = pack.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := unpack.Start(); err != nil {
		t.Fatal(err)
	}
	if err := pack.Run(); err != nil {
		t.Fatalf("unpack %s: %v", deb, err)
	}
	if err := unpack.Wait(); err != nil {
		t.Fatalf("unpack %s: %v\n%s", deb, err, said.String())
	}
}

// musl makes a root file system with Debian's musl, and programs compiled for it.
// Its node loads the add-ons that it is given and calls them, as Node would.
func musl(t *testing.T, root string) {
	t.Helper()
	work := t.TempDir()
	run(t, work, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "musl")
	debs, err := filepath.Glob(filepath.Join(work, "musl_*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("apt-get fetched %v, %v", debs, err)
	}
	merged(t, root)
	unpack(t, debs[0], root)
	const libraries = "usr/lib/x86_64-linux-musl" // as etc/ld-musl-x86_64.path of the package says
	for _, d := range []string{"etc", "app", libraries} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, root, "etc/os-release", "ID=alpine\nVERSION_ID=3.20.0\n")
	write(t, work, "node.c", loader)
	run(t, work, "musl-gcc", "-O1", "-o", filepath.Join(root, "usr/bin/node"), "node.c")
	for _, name := range []string{"libstdc++.so.6", "libgcc_s.so.1", "libssl.so.3", "libcrypto.so.3"} {
		library(t, "musl-gcc", filepath.Join(root, libraries, name), "int none;")
	}
}

// loader stands for Node in an image of musl.
const loader = `
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
	for (int i = 1; i < argc; i++) {
		void *l = dlopen(argv[i], RTLD_LAZY);
		if (!l) { printf("%s\n", dlerror()); return 1; }
		int (*f)(void) = (int (*)(void))dlsym(l, "add_on");
		if (!f) { printf("%s\n", dlerror()); return 2; }
		printf("%s says %d\n", argv[i], f());
	}
	return 0;
}
`
