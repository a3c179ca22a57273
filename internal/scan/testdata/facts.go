//go:build ignore

// Command facts reduces the tar of a real layer to its facts, as JSON in zstd:
//
//	go run internal/scan/testdata/facts.go OUT < LAYER.tar
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
)

func main() {
	f, err := layer.Read(context.Background(), os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	doc, err := json.Marshal(f)
	if err != nil {
		log.Fatal(err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], z.EncodeAll(doc, nil), 0o644); err != nil {
		log.Fatal(err)
	}
}
