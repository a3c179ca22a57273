//go:build race

package layer_test

// manyEntries is fewer with the race detector, which makes archive/tar fifteen
// times slower.
const manyEntries = 100_000
