//go:build ignore

// Command reduce makes a test file of a real binary: it zeroes every byte range
// without which the facts stay the same, and packs what is left.
//
//	go run internal/scan/native/testdata/reduce.go NAME FILE
//
// writes NAME.gz and NAME.txt beside itself.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log"
	"os"
	"reflect"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/native"
)

func main() {
	name, file := os.Args[1], os.Args[2]
	b, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	want := facts(b)
	reduce(b, 0, len(b), want)
	out := "internal/scan/native/testdata/" + name
	f, err := os.Create(out + ".gz")
	if err != nil {
		log.Fatal(err)
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestCompression)
	z.Write(b)
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(out+".txt", []byte(describe(want)), 0o644); err != nil {
		log.Fatal(err)
	}
}

func facts(b []byte) *native.Binary {
	var d native.Reader
	got, err := d.Read(native.Sniff(b), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		log.Fatal(err)
	}
	return got
}

// reduce zeroes [from, to) if that changes nothing, else its halves.
func reduce(b []byte, from, to int, want *native.Binary) {
	saved := bytes.Clone(b[from:to])
	clear(b[from:to])
	if native.Sniff(b) == want.Format && reflect.DeepEqual(facts(b), want) {
		return
	}
	copy(b[from:to], saved)
	if to-from <= 64 {
		return
	}
	half := from + (to-from)/2
	reduce(b, from, half, want)
	reduce(b, half, to, want)
}

func describe(b *native.Binary) string {
	return strings.Join([]string{
		b.String(), string(b.Kind), "interp " + b.Interp, "soname " + b.Soname, "needed " + strings.Join(b.Needed, " "), "rpath " + strings.Join(b.RPath, " "),
		"runpath " + strings.Join(b.RunPath, " "), fmt.Sprint("damaged ", b.Damaged),
	}, "\n") + "\n"
}
