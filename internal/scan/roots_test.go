package scan_test

import (
	"testing"

	"github.com/weelo/weelo-deploy/internal/scan"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

const (
	glibcLoader = "/lib64/ld-linux-x86-64.so.2"
	muslLoader  = "/lib/ld-musl-x86_64.so.1"
)

type files = []scantest.File

func bin(name string, e scantest.ELF) scantest.File {
	return scantest.File{Name: name, Body: e.Bytes()}
}

func text(name, body string) scantest.File {
	return scantest.File{Name: name, Body: []byte(body), Plain: true}
}

// program is one that links to glibc, and to more.
func program(needs ...string) scantest.ELF {
	return scantest.ELF{Program: true, Interp: glibcLoader, Needed: append(needs, "libc.so.6"), Versions: map[string][]string{"libc.so.6": {"GLIBC_2.34"}}}
}

// TestImage_planted puts one defect each into a healthy Debian image.
func TestImage_planted(t *testing.T) {
	arm := scantest.ELF{Arch: "arm64", Program: true, Interp: "/lib/ld-linux-aarch64.so.1", Needed: []string{"libc.so.6"}}
	tests := map[string]struct {
		entry []string
		files files
		want  []string
		env   []string
	}{
		"nothing wrong": {entry: []string{"/app/s"}, files: files{bin("app/s", program("libm.so.6"))}},
		"a program that is not there": {
			entry: []string{"/app/s"}, want: []string{"error entrypoint-missing /app/s"},
		},
		"a program that nobody may execute": {
			entry: []string{"/app/s"}, files: files{text("app/s", "#!/bin/sh\n")}, want: []string{"error entrypoint-format /app/s"},
		},
		"a text file without a first line": {
			entry: []string{"/app/s"}, files: files{{Name: "app/s", Body: []byte("exec node\n")}}, want: []string{"error entrypoint-format /app/s"},
		},
		"an empty file": {
			entry: []string{"/app/s"}, files: files{{Name: "app/s"}}, want: []string{"error entrypoint-format /app/s"},
		},
		"Windows line ends": {
			entry: []string{"/app/s"}, files: files{{Name: "app/s", Body: []byte("#!/bin/sh\r\necho\r\n")}}, want: []string{"error entrypoint-missing /bin/sh\r"},
		},
		"Windows line ends after env": {
			entry: []string{"/app/s"}, files: files{{Name: "app/s", Body: []byte("#!/usr/bin/env bash\r\necho\r\n")}}, want: []string{"error entrypoint-missing bash\r"},
		},
		"a script's interpreter is missing": {
			entry: []string{"/app/s"}, files: files{{Name: "app/s", Body: []byte("#!/usr/bin/env node\n")}}, want: []string{"error entrypoint-missing node"},
		},
		"a program for another processor": {
			entry: []string{"/app/s"}, files: files{bin("app/s", arm)}, want: []string{"error entrypoint-machine /app/s"},
		},
		"a Mach-O program": {
			entry: []string{"/app/s"}, files: files{{Name: "app/s", Body: scantest.MachO("arm64")}}, want: []string{"error entrypoint-machine /app/s"},
		},
		"the same through links and PATH": {
			entry: []string{"s"}, files: files{bin("opt/v1/s", arm), {Name: "opt/now", Link: "v1"}, {Name: "usr/local/bin/s", Link: "/opt/now/s"}},
			want: []string{"error entrypoint-machine /opt/v1/s"},
		},
		"the same in a shell's line": {
			entry: []string{"/bin/sh", "-c", "cd /app && exec ./s --port 80 | cat"}, files: files{bin("app/s", arm)}, want: []string{"error entrypoint-machine /app/s"},
		},
		"the same behind a script": {
			entry: []string{"/start", "/app/s"}, files: files{{Name: "start", Body: []byte("#!/bin/sh\nexec \"$@\"\n")}, bin("app/s", arm)}, want: []string{"error entrypoint-machine /app/s"},
		},
		"32 bits": {
			entry: []string{"/app/s"}, files: files{bin("app/s", scantest.ELF{Arch: "386", Program: true})}, want: []string{"error entrypoint-machine /app/s"},
		},
		"a musl program in a glibc image": {
			entry: []string{"/app/s"}, files: files{bin("app/s", scantest.ELF{Program: true, Interp: muslLoader, Needed: []string{"libc.musl-x86_64.so.1"}})},
			want: []string{"error loader-missing /app/s"},
		},
		"a library that is missing": {
			entry: []string{"/app/s"}, files: files{bin("app/s", program("libssl.so.1.1"))}, want: []string{"error library-missing /app/s"},
		},
		"a library's library that is missing": {
			entry: []string{"/app/s"}, files: files{bin("app/s", program("liba.so")), bin("usr/lib/liba.so", scantest.ELF{Soname: "liba.so", Needed: []string{"libb.so"}})},
			want: []string{"error library-missing /usr/lib/liba.so"},
		},
		"a library for another processor": {
			entry: []string{"/app/s"}, files: files{bin("app/s", program("liba.so")), bin("usr/lib/liba.so", scantest.ELF{Arch: "arm64", Soname: "liba.so"})},
			want: []string{"error library-machine /app/s", "note foreign /usr/lib/liba.so"},
		},
		"a symbol version that is too new": {
			entry: []string{"/app/s"}, files: files{bin("app/s", scantest.ELF{Program: true, Interp: glibcLoader, Needed: []string{"libc.so.6"}, Versions: map[string][]string{"libc.so.6": {"GLIBC_2.99", "GLIBC_2.2.5"}}})},
			want: []string{"error symbol-version /app/s"},
		},
		"a weak symbol version that is too new": {
			entry: []string{"/app/s"}, files: files{bin("app/s", scantest.ELF{Program: true, Interp: glibcLoader, Needed: []string{"libc.so.6"}, Versions: map[string][]string{"libc.so.6": {"GLIBC_2.99?"}}})},
		},
		"a processor that is too new": {
			entry: []string{"/app/s"}, files: files{bin("app/s", scantest.ELF{Program: true, Level: 3})}, want: []string{"error cpu-level /app/s"},
		},
		"a processor that all have": {entry: []string{"/app/s"}, files: files{bin("app/s", scantest.ELF{Program: true, Level: 2})}},
		"a program cut in half": {
			entry: []string{"/app/s"}, files: files{{Name: "app/s", Body: program().Bytes()[:300]}}, want: []string{"error damaged /app/s"},
		},
		"RUNPATH with $ORIGIN": {
			entry: []string{"/app/bin/s"}, files: files{bin("app/bin/s", scantest.ELF{Program: true, Interp: glibcLoader, Needed: []string{"liba.so"}, RunPath: "$ORIGIN/../lib"}), bin("app/lib/liba.so", scantest.ELF{Soname: "liba.so"})},
		},
		"RPATH is inherited": {
			entry: []string{"/app/s"}, files: files{
				bin("app/s", scantest.ELF{Program: true, Interp: glibcLoader, Needed: []string{"liba.so"}, RPath: "${ORIGIN}/l"}),
				bin("app/l/liba.so", scantest.ELF{Soname: "liba.so", Needed: []string{"libb.so"}}), bin("app/l/libb.so", scantest.ELF{Soname: "libb.so"}),
			},
		},
		"RUNPATH is not": {
			entry: []string{"/app/s"}, files: files{
				bin("app/s", scantest.ELF{Program: true, Interp: glibcLoader, Needed: []string{"liba.so"}, RunPath: "$ORIGIN/l"}),
				bin("app/l/liba.so", scantest.ELF{Soname: "liba.so", Needed: []string{"libb.so"}}), bin("app/l/libb.so", scantest.ELF{Soname: "libb.so"}),
			},
			want: []string{"error library-missing /app/l/liba.so"},
		},
		"ld.so.conf and what it includes": {
			entry: []string{"/app/s"}, files: files{bin("app/s", program("liba.so")), text("etc/ld.so.conf.d/mine.conf", "# mine\n/opt/mine/lib\n"), bin("opt/mine/lib/liba.so", scantest.ELF{Soname: "liba.so"})},
		},
		"LD_LIBRARY_PATH": {
			entry: []string{"/app/s"}, env: []string{"LD_LIBRARY_PATH=/none:/opt/x"}, files: files{bin("app/s", program("liba.so")), bin("opt/x/liba.so", scantest.ELF{Soname: "liba.so"})},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			i := scantest.Image{Entrypoint: tt.entry, WorkingDir: "/app", Env: tt.env, Layers: [][]byte{scantest.Tar(t, tt.files...)}}
			wantLines(t, on(t, []string{"debian12"}, i, scan.Options{}), tt.want...)
		})
	}
}

// alpine is what makes an image one of musl, with Node in it.
func alpine() files {
	return files{
		bin("lib/ld-musl-x86_64.so.1", scantest.ELF{Soname: "libc.musl-x86_64.so.1"}),
		{Name: "lib/libc.musl-x86_64.so.1", Link: "ld-musl-x86_64.so.1"},
		text("etc/alpine-release", "3.20.3\n"), text("etc/os-release", "ID=alpine\nVERSION_ID=3.20.3\n"),
		bin("usr/lib/libstdc++.so.6", scantest.ELF{Soname: "libstdc++.so.6", Needed: []string{"libc.musl-x86_64.so.1"}}),
		bin("usr/bin/node", scantest.ELF{Program: true, Interp: muslLoader, Needed: []string{"libstdc++.so.6", "libc.musl-x86_64.so.1"}}),
	}
}

func TestImage_musl(t *testing.T) {
	const pkg = "app/node_modules/bcrypt/"
	gnu := scantest.ELF{Needed: []string{"libstdc++.so.6", "libc.so.6"}}
	musl := scantest.ELF{Needed: []string{"libstdc++.so.6", "libc.musl-x86_64.so.1"}}
	tests := map[string]struct {
		files files
		want  []string
	}{
		"nothing wrong": {},
		"both builds, the right one fits": {
			files{bin(pkg+"prebuilds/linux-x64/bcrypt.glibc.node", gnu), bin(pkg+"prebuilds/linux-x64/bcrypt.musl.node", musl)},
			[]string{"note addon-foreign /app/node_modules/bcrypt"},
		},
		"a glibc add-on only, which dies with 139": {
			files{bin(pkg+"prebuilds/linux-x64/bcrypt.glibc.node", gnu)}, []string{"error addon-absent /" + pkg + "prebuilds/linux-x64/bcrypt.glibc.node"},
		},
		"a glibc add-on where loaders look first": {
			files{bin(pkg+"build/Release/bcrypt.node", gnu), bin(pkg+"prebuilds/linux-x64/bcrypt.musl.node", musl)},
			[]string{"error addon-wrong /" + pkg + "build/Release/bcrypt.node"},
		},
		"a glibc library under a musl add-on": {
			files{bin(pkg+"build/Release/bcrypt.node", scantest.ELF{Needed: []string{"libx.so", "libc.musl-x86_64.so.1"}}), bin("usr/lib/libx.so", scantest.ELF{Soname: "libx.so", Needed: []string{"libc.so.6"}})},
			[]string{"error c-library /usr/lib/libx.so"},
		},
		"musl's path file": {
			files{text("etc/ld-musl-x86_64.path", "/lib\n/opt/lib:/usr/lib\n"), bin("opt/lib/libx.so", scantest.ELF{Soname: "libx.so"}), bin(pkg+"build/Release/a.node", scantest.ELF{Needed: []string{"libx.so"}})},
			nil,
		},
		"a glibc program": {
			files{bin("app/node_modules/tool/bin/tool", program())}, []string{"error addon-absent /app/node_modules/tool/bin/tool"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			i := server
			i.Layers = [][]byte{scantest.Tar(t, append(alpine(), tt.files...)...)}
			wantLines(t, on(t, nil, i, scan.Options{}), tt.want...)
		})
	}
	t.Run("a glibc program at the start", func(t *testing.T) {
		i := scantest.Image{Entrypoint: []string{"/s"}, Layers: [][]byte{scantest.Tar(t, append(alpine(), bin("s", program()))...)}}
		wantLines(t, on(t, nil, i, scan.Options{}), "error loader-missing /s")
	})
}

func TestImage_commandLines(t *testing.T) {
	arm := bin("app/s", scantest.ELF{Arch: "arm64", Program: true})
	layer := scantest.Tar(t, arm, text("app/package.json", `{"name":"x","scripts":{"start":"./s && node ."}}`), scantest.File{Name: "usr/bin/npm", Body: []byte("#!/bin/sh\n")})
	for name, tt := range map[string]struct {
		image scantest.Image
		opts  scan.Options
		want  []string
	}{
		"the health check runs it":       {scantest.Image{Cmd: []string{"bash"}, Healthcheck: []string{"CMD-SHELL", "/app/s || exit 1"}}, scan.Options{}, []string{"error entrypoint-machine /app/s"}},
		"npm start runs it":              {scantest.Image{Cmd: []string{"npm", "start"}, WorkingDir: "/app"}, scan.Options{}, []string{"error entrypoint-machine /app/s"}},
		"the definition's command does":  {scantest.Image{Entrypoint: []string{"bash"}, Cmd: []string{"-l"}}, scan.Options{Command: []string{"/app/s"}}, []string{"error entrypoint-machine /app/s"}},
		"the definition's entrypoint":    {scantest.Image{Entrypoint: []string{"/app/s"}}, scan.Options{Entrypoint: []string{"bash"}}, []string{"note foreign /app/s"}},
		"nobody does":                    {scantest.Image{Cmd: []string{"bash"}}, scan.Options{}, []string{"note foreign /app/s"}},
		"it is in the application's own": {scantest.Image{Cmd: []string{"bash"}, WorkingDir: "/app"}, scan.Options{}, []string{"warning application-foreign /app/s"}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.image.Layers = [][]byte{layer}
			wantLines(t, on(t, []string{"debian12"}, tt.image, tt.opts), tt.want...)
		})
	}
}
