package scan_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/scan"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

var (
	addon      = scantest.ELF{Needed: []string{"libstdc++.so.6", "libc.so.6"}}
	armAddon   = scantest.ELF{Arch: "arm64", Needed: []string{"libstdc++.so.6", "libc.so.6"}}
	macAddon   = scantest.MachO("arm64")
	modules    = "app/node_modules/"
	prismaDir  = modules + ".prisma/client/"
	opensslLib = bin("usr/lib/x86_64-linux-gnu/libssl.so.3", scantest.ELF{Soname: "libssl.so.3", Defines: []string{"OPENSSL_3.0.0"}})
)

func engine(needs ...string) scantest.ELF { return scantest.ELF{Needed: append(needs, "libc.so.6")} }

func TestImage_addons(t *testing.T) {
	tests := map[string]struct {
		files files
		env   []string
		want  []string
	}{
		"a foreign build where loaders look first, beside a fitting one": {
			files: files{bin(modules+"a/build/Release/a.node", armAddon), bin(modules+"a/prebuilds/linux-x64/a.node", addon)},
			want:  []string{"error addon-wrong /" + modules + "a/build/Release/a.node"},
		},
		"the folder of node-pre-gyp": {
			files: files{{Name: modules + "a/lib/binding/napi-v3/a.node", Body: macAddon}}, want: []string{"error addon-wrong /" + modules + "a/lib/binding/napi-v3/a.node"},
		},
		"a prebuilt one whose folder lies": {
			files: files{bin(modules+"a/prebuilds/linux-x64/a.node", armAddon), bin(modules+"a/prebuilds/linux-arm64/a.node", addon)},
			want:  []string{"error addon-absent /" + modules + "a/prebuilds/linux-arm64/a.node"},
		},
		"a prebuilt one that needs a library": {
			files: files{bin(modules+"a/prebuilds/linux-x64/a.node", scantest.ELF{Needed: []string{"libssl.so.1.1", "libc.so.6"}})},
			want:  []string{"error library-missing /" + modules + "a/prebuilds/linux-x64/a.node"},
		},
		"an add-on whose C++ library is older than it wants": {
			files: files{bin(modules+"a/build/Release/a.node", scantest.ELF{Needed: []string{"libstdc++.so.6"}, Versions: map[string][]string{"libstdc++.so.6": {"GLIBCXX_9.9.9"}}})},
			want:  []string{"error symbol-version /" + modules + "a/build/Release/a.node"},
		},
		"a package for development": {
			files: files{{Name: modules + "a/build/Release/a.node", Body: macAddon}, text(modules+".package-lock.json", `{"packages":{"node_modules/a":{"dev":true}}}`)},
			want:  []string{"warning addon-wrong /" + modules + "a/build/Release/a.node"},
		},
		"intermediate files of a compiler": {
			files: files{{Name: modules + "a/build/Release/obj.target/a.node", Body: macAddon}}, want: []string{"note foreign /" + modules + "a/build/Release/obj.target/a.node"},
		},
		"a package only for macOS": {
			files: files{{Name: modules + "fsevents/fsevents.node", Body: scantest.Fat("amd64", "arm64")}, text(modules+"fsevents/package.json", `{"name":"fsevents","os":["darwin"]}`)},
			want:  []string{"note addon-foreign /" + modules + "fsevents/fsevents.node"},
		},
		"helpers for Windows and macOS": {
			files: files{{Name: modules + "notifier/vendor/x.exe", Body: scantest.PE("amd64", false)}, {Name: modules + "notifier/vendor/mac", Body: macAddon}},
			want:  []string{"warning addon-absent /" + modules + "notifier/vendor/mac"},
		},
		"helpers for Windows": {
			files: files{{Name: modules + "tool/x.exe", Body: scantest.PE("amd64", false)}}, want: []string{"note addon-foreign /" + modules + "tool/x.exe"},
		},
		"a bundler's copy outside of node_modules": {
			files: files{{Name: "app/dist/a.node", Body: macAddon}}, want: []string{"error addon-absent /app/dist/a.node"},
		},
		"a bundler's copies, one fits": {
			files: files{{Name: "app/dist/prebuilds/darwin-arm64/a.node", Body: macAddon}, bin("app/dist/prebuilds/linux-x64/a.node", addon)},
			want:  []string{"note addon-foreign /app/dist"},
		},
		"none of a family is installed": {
			files: files{text(modules+"swc/package.json", `{"name":"swc","optionalDependencies":{"@swc/linux-x64-gnu":"1","@swc/darwin-arm64":"1","@swc/win32-x64-msvc":"1"}}`)},
			want:  []string{"warning addon-absent /" + modules + "swc/package.json"},
		},
		"a family in pnpm's store, through links": {
			files: files{
				text(modules+".pnpm/swc@1/node_modules/swc/package.json", `{"name":"swc","optionalDependencies":{"@swc/linux-x64-gnu":"1","@swc/linux-arm64-gnu":"1"}}`),
				{Name: modules + ".pnpm/swc@1/node_modules/@swc/linux-arm64-gnu", Link: "../../../@swc+linux-arm64-gnu@1/node_modules/@swc/linux-arm64-gnu"},
				bin(modules+".pnpm/@swc+linux-arm64-gnu@1/node_modules/@swc/linux-arm64-gnu/swc.node", armAddon),
				text(modules+".pnpm/@swc+linux-arm64-gnu@1/node_modules/@swc/linux-arm64-gnu/package.json", `{"name":"@swc/linux-arm64-gnu","os":["linux"],"cpu":["arm64"]}`),
				{Name: modules + "swc", Link: ".pnpm/swc@1/node_modules/swc"},
			},
			want: []string{"error addon-absent /" + modules + ".pnpm/@swc+linux-arm64-gnu@1/node_modules/@swc/linux-arm64-gnu/swc.node"},
		},
		"a platform package that nothing asks for": {
			files: files{{Name: modules + "@x/darwin-arm64/x.node", Body: macAddon}, text(modules+"@x/darwin-arm64/package.json", `{"name":"@x/darwin-arm64","os":["darwin"],"cpu":["arm64"]}`)},
			want:  []string{"warning addon-absent /" + modules + "@x/darwin-arm64/x.node"},
		},
		"Prisma's engine for this image": {
			files: files{opensslLib, bin(prismaDir+"libquery_engine-debian-openssl-3.0.x.so.node", engine("libssl.so.3"))},
		},
		"Prisma's engine for another OpenSSL": {
			files: files{opensslLib, bin(prismaDir+"libquery_engine-debian-openssl-1.1.x.so.node", engine("libssl.so.1.1"))},
			want:  []string{"error prisma-engine /" + prismaDir + "libquery_engine-debian-openssl-1.1.x.so.node"},
		},
		"Prisma's engines for a laptop and for this image": {
			files: files{opensslLib, {Name: prismaDir + "libquery_engine-darwin-arm64.dylib.node", Body: macAddon}, bin(prismaDir+"libquery_engine-debian-openssl-3.0.x.so.node", engine("libssl.so.3"))},
			want:  []string{"note addon-foreign /app/node_modules/.prisma/client"},
		},
		"Prisma's engine for Arm": {
			files: files{opensslLib, bin(prismaDir+"libquery_engine-linux-arm64-openssl-3.0.x.so.node", armAddon)},
			want:  []string{"error prisma-engine /" + prismaDir + "libquery_engine-linux-arm64-openssl-3.0.x.so.node"},
		},
		"Prisma's engine whose name lies": {
			files: files{opensslLib, bin(prismaDir+"libquery_engine-debian-openssl-3.0.x.so.node", armAddon)},
			want:  []string{"error addon-wrong /" + prismaDir + "libquery_engine-debian-openssl-3.0.x.so.node"},
		},
		"Prisma's engine without any OpenSSL": {
			files: files{bin(prismaDir+"libquery_engine-debian-openssl-3.0.x.so.node", engine("libssl.so.3"))},
			want:  []string{"error library-missing /" + prismaDir + "libquery_engine-debian-openssl-3.0.x.so.node"},
		},
		"Prisma's engine with the OpenSSL that crashes Node": {
			files: files{bin("usr/lib/libssl.so.1.1", scantest.ELF{Soname: "libssl.so.1.1"}), bin(prismaDir+"libquery_engine-debian-openssl-1.1.x.so.node", engine("libssl.so.1.1"))},
			env:   []string{"NODE_VERSION=20.11.0"}, want: []string{"warning prisma-openssl /" + prismaDir + "libquery_engine-debian-openssl-1.1.x.so.node"},
		},
		"a library in the application's folder for another system": {
			files: files{bin("app/native/linux-arm64/libx.so", scantest.ELF{Arch: "arm64", Soname: "libx.so"}), {Name: "app/native/darwin-arm64/libx.dylib", Body: macAddon}},
			want:  []string{"error application-foreign /app/native/darwin-arm64/libx.dylib"},
		},
		"the same beside one that fits": {
			files: files{bin("app/native/linux-arm64/libx.so", scantest.ELF{Arch: "arm64", Soname: "libx.so"}), bin("app/native/linux-x64/libx.so", scantest.ELF{Soname: "libx.so"})},
			want:  []string{"note foreign /app/native/linux-arm64/libx.so"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			i := server
			i.Env, i.Layers = tt.env, [][]byte{scantest.Tar(t, tt.files...)}
			wantLines(t, on(t, []string{"debian12", "node"}, i, scan.Options{}), tt.want...)
		})
	}
}

func TestImage_whiteoutsHideAddons(t *testing.T) {
	i := server
	i.Layers = [][]byte{
		scantest.Tar(t, scantest.File{Name: modules + "a/build/Release/a.node", Body: macAddon}, scantest.File{Name: modules + "b/b.node", Body: macAddon}),
		scantest.Tar(t, scantest.File{Name: modules + ".wh.b"}, scantest.File{Name: modules + "a/build/.wh..wh..opq"}, bin(modules+"a/build/Release/a.node", addon)),
	}
	wantLines(t, on(t, []string{"debian12", "node"}, i, scan.Options{}))
}

func TestImage_namesTheLayerThatBroughtIt(t *testing.T) {
	i := server
	i.Layers = [][]byte{scantest.Tar(t, text("x", "")), scantest.Tar(t, bin(modules+"a/build/Release/a.node", armAddon)), scantest.Tar(t, text("y", ""))}
	i.Steps = []string{"COPY x /", "/bin/sh -c #(nop) COPY dir:0123 in /app ", "RUN /bin/sh -c npm ci # buildkit"}
	r := on(t, []string{"debian12", "node"}, i, scan.Options{})
	if len(r.Findings) != 1 || r.Findings[0].Step != "COPY dir:0123 in /app" || !strings.HasPrefix(r.Findings[0].Layer, "sha256:") {
		t.Errorf("findings = %+v, want one with the second step", r.Findings)
	}
}

func TestImage_python(t *testing.T) {
	const site = "usr/local/lib/python3.11/site-packages/"
	python := bin("usr/local/bin/python3", program())
	gnu, musl := scantest.ELF{Needed: []string{"libc.so.6"}}, scantest.ELF{Needed: []string{"libc.musl-x86_64.so.1"}}
	tests := map[string]struct {
		files files
		want  []string
	}{
		"a module that fits":               {files: files{bin(site+"x/_x.cpython-311-x86_64-linux-gnu.so", gnu)}},
		"a module for Arm":                 {files{bin(site+"x/_x.cpython-311-aarch64-linux-gnu.so", armAddon)}, []string{"error extension-absent /" + site + "x/_x.cpython-311-aarch64-linux-gnu.so"}},
		"a module for macOS":               {files{{Name: site + "x/_x.cpython-311-darwin.so", Body: macAddon}}, []string{"error extension-absent /" + site + "x/_x.cpython-311-darwin.so"}},
		"a module for musl":                {files{bin(site+"x/_x.abi3.so", musl)}, []string{"error extension-absent /" + site + "x/_x.abi3.so"}},
		"two builds, one fits":             {files{bin(site+"x/_x.cpython-311-aarch64-linux-gnu.so", armAddon), bin(site+"x/_x.cpython-311-x86_64-linux-gnu.so", gnu)}, nil},
		"two modules of one package":       {files{bin(site+"x/_x.abi3.so", musl), bin(site+"x/_y.abi3.so", musl)}, []string{"error extension-absent /" + site + "x/_x.abi3.so"}},
		"a wheel's own libraries":          {files{bin(site+"x/_x.abi3.so", scantest.ELF{Needed: []string{"liby-1.so"}, RPath: "$ORIGIN/../x.libs"}), bin(site+"x.libs/liby-1.so", scantest.ELF{Soname: "liby-1.so"})}, nil},
		"an optional module without a lib": {files{bin(site+"x/_cuda.abi3.so", scantest.ELF{Needed: []string{"libcuda.so.1"}})}, []string{"warning library-missing /" + site + "x/_cuda.abi3.so"}},
		"stubs of installers":              {files{{Name: site + "pip/_vendor/distlib/t64.exe", Body: scantest.PE("amd64", false)}, {Name: site + "pip/_vendor/distlib/w32.exe", Body: scantest.PE("386", false)}}, []string{"note foreign /" + site + "pip"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			i := scantest.Image{Cmd: []string{"python3", "app.py"}, WorkingDir: "/app", Layers: [][]byte{scantest.Tar(t, append(files{python}, tt.files...)...)}}
			wantLines(t, on(t, []string{"debian12"}, i, scan.Options{}), tt.want...)
		})
	}
}

func TestImage_shippedButNotLoaded(t *testing.T) {
	i := scantest.Image{Cmd: []string{"bash"}, Layers: [][]byte{scantest.Tar(t,
		bin("usr/aarch64-linux-gnu/lib/libc.so.6", scantest.ELF{Arch: "arm64", Soname: "libc.so.6"}),
		bin("usr/aarch64-linux-gnu/lib/libm.so.6", scantest.ELF{Arch: "arm64", Soname: "libm.so.6"}),
		bin("lib/firmware/x.elf", scantest.ELF{Arch: "riscv64", Program: true}),
		bin("usr/lib/jvm/plugin.so", scantest.ELF{Needed: []string{"libjvm.so"}}),
	)}}
	wantLines(t, on(t, []string{"debian12"}, i, scan.Options{}), "note foreign /usr/aarch64-linux-gnu/lib", "note foreign /usr/lib/firmware/x.elf")
}
