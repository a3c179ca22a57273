// Command scantmp is for trying things out.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/scan"
)

func main() {
	var src scan.Source = scan.FromSave(os.Stdin)
	if len(os.Args) > 1 {
		if st, err := os.Stat(os.Args[1]); err == nil && st.IsDir() {
			src = scan.FromLayout(os.Args[1])
		} else if err == nil {
			f, _ := os.Open(os.Args[1])
			src = scan.FromSave(f)
		}
	}
	var o scan.Options
	if v := os.Getenv("ARGV"); v != "" {
		o.Entrypoint = strings.Fields(v)
	}
	t0 := time.Now()
	r, err := scan.Image(context.Background(), src, scan.Target{OS: "linux", Arch: "amd64"}, o)
	if err != nil {
		fmt.Println("ERR", err)
		os.Exit(2)
	}
	r.WriteText(os.Stdout)
	d := time.Since(t0)
	fmt.Printf("%.0f MB in %v: %.0f MB/s\n", float64(r.Bytes)/1e6, d, float64(r.Bytes)/1e6/d.Seconds())
}
