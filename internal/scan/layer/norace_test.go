//go:build !race

package layer_test

const manyEntries = 1_000_000
