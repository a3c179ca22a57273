package scan

import (
	"fmt"
	"path"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/native"
)

// machineMend is what helps when a whole program is for another machine.
func machineMend(t Target) []string {
	return []string{
		fmt.Sprintf("build natively for %s: take FROM images of that platform, without --platform of another", t),
		fmt.Sprintf("a cross-compiled program: GOOS=%s GOARCH=%s, or the same in its own tool chain", t.OS, t.Arch),
	}
}

func machineWhy(b *native.Binary, t Target) string {
	if t.Arch == "amd64" && b.Runs("linux", "386") {
		return "not every kernel starts 32-bit programs, and none of the image's 64-bit libraries serve it"
	}
	return `the kernel answers "exec format error"`
}

func loaderMend(asks, has native.CLib) []string {
	switch {
	case asks == native.Glibc && has == native.Musl:
		return []string{"take a base image with glibc (Debian, Ubuntu, Amazon Linux) instead of Alpine", "compile the program in the Alpine image itself, or statically (Go: CGO_ENABLED=0)"}
	case asks == native.Musl && has == native.Glibc:
		return []string{"compile the program in the image's own base image, not in Alpine", "take an Alpine base image"}
	}
	return []string{"take a base image that has the loader (scratch and distroless/static have none)", "link the program statically (Go: CGO_ENABLED=0)"}
}

func clibMend(process native.CLib) []string {
	distro := map[native.CLib]string{native.Glibc: "Debian, Ubuntu or Amazon Linux", native.Musl: "Alpine"}[process]
	return []string{
		fmt.Sprintf("run the install step (npm ci, pip install) in an image of the same kind as the final one: %s", distro),
		"keep the host's node_modules out of the image: add node_modules to .dockerignore",
	}
}

func clibWhy(file, process native.CLib) string {
	if file == native.Glibc && process == native.Musl {
		return "musl's loader takes it and answers libc.so.6 with itself; the first call into it dies of SIGSEGV, exit code 139"
	}
	return fmt.Sprintf("a %s process cannot load it: the two C libraries do not mix", process)
}

// libraryMend names the package of a library that is often missing.
func libraryMend(need string, c native.CLib) []string {
	install := map[native.CLib]string{native.Glibc: "apt-get install -y ", native.Musl: "apk add "}[c]
	base := path.Base(need)
	switch {
	case strings.HasPrefix(base, "libssl.so.1.1"), strings.HasPrefix(base, "libcrypto.so.1.1"):
		return []string{"install or compile it for OpenSSL 3; with Prisma: set binaryTargets to the openssl-3.0.x one", "or take a base image that still has OpenSSL 1.1 (Debian 11)"}
	case strings.HasPrefix(base, "libssl.so.3"), strings.HasPrefix(base, "libcrypto.so.3"):
		return []string{"install OpenSSL 3 in the final image: " + install + "openssl"}
	case strings.HasPrefix(base, "libstdc++"):
		return []string{"install it in the final image: " + install + map[native.CLib]string{native.Glibc: "libstdc++6", native.Musl: "libstdc++"}[c]}
	case strings.HasPrefix(base, "libvips"):
		return []string{"install sharp in the image's own base image, with its optional dependencies: npm install --include=optional sharp"}
	}
	return []string{"install the package that has it in the final image; COPY --from brings a program, not its libraries"}
}

// nodeMend is what helps when a Node package is built for another platform.
func (j *judge) nodeMend(pkg string) []string {
	cpu := map[string]string{"amd64": "x64"}[j.target.Arch]
	if cpu == "" {
		cpu = j.target.Arch
	}
	libc := map[native.CLib]string{native.Musl: "musl"}[j.nodeCLib()]
	if libc == "" {
		libc = "glibc"
	}
	mend := []string{"add node_modules to .dockerignore, so that the host's is not copied over the image's"}
	if strings.Contains(pkg, "@img/sharp") || path.Base(pkg) == "sharp" {
		return append(mend, fmt.Sprintf("npm install --os=%s --cpu=%s --libc=%s sharp", j.target.OS, cpu, libc))
	}
	return append(mend, "run npm ci (or npm rebuild "+packageName(pkg)+") in a stage of the final image's kind")
}

// packageName is the name after the last node_modules.
func packageName(dir string) string {
	i := strings.LastIndex(dir, "/node_modules/")
	if i < 0 {
		return path.Base(dir)
	}
	return dir[i+len("/node_modules/"):]
}
