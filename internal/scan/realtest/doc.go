// Package realtest holds the scan against real packages in real images, and what
// it says against what containers of those images do. Its tests fetch bcrypt,
// sharp, esbuild and Prisma from the npm registry and a root file system from
// Debian, and need npm, gcc, musl-gcc, apt-get, dpkg-deb and a Docker engine, so
// they are apart from `make test`: `make test-packages` runs them, and fails when
// one of these is missing.
package realtest
