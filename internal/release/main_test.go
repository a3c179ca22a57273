package release_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets many tests wait at once: they wait for a sandbox most of their time,
// and need little of a processor.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
