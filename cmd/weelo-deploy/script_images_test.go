package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/image/imagetest"
)

// imageForms are the forms in which cmdImage makes an image, by their word.
var imageForms = map[string]func(ts *testscript.TestScript, c *imagetest.Content, to string){
	"layout": func(ts *testscript.TestScript, c *imagetest.Content, to string) {
		ts.Check(imagetest.Write(ts.MkAbs(to), c.Files()))
	},
	"tar": func(ts *testscript.TestScript, c *imagetest.Content, to string) {
		writeArchive(ts, imagetest.Tar(c.Files()), to)
	},
	"saved": func(ts *testscript.TestScript, c *imagetest.Content, to string) {
		files, err := c.Saved("weelo-backend:v1")
		ts.Check(err)
		writeArchive(ts, imagetest.Tar(files), to)
	},
	"push":  pushImage,
	"serve": serveImage,
	"load":  loadImage,
}

// cmdImage: image CASE FORM TO — makes an image of internal/image/imagetest, which
// tells the truth or one lie, as a layout (to a directory), tar or saved (to a
// file; compressed by its name), pushes it to the sandbox (to REPOSITORY:TAG), loads
// it into the engine (to NAME:TAG), or serves it in a registry of its own (TO is the
// variable that gets HOST:PORT). DIGEST is then the manifest that runs, and INDEX
// the index around it.
func cmdImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || imageForms[args[1]] == nil {
		ts.Fatalf("usage: image CASE layout|tar|saved|push|load|serve TO")
	}
	c, ok := imagetest.Find(args[0])
	if !ok {
		ts.Fatalf("there is no image %q in internal/image/imagetest", args[0])
	}
	content := c.Content()
	digest, index := "", ""
	if c.Runs != nil {
		digest = c.Runs(content).Digest.String()
	}
	if content.Top.MediaType.IsIndex() {
		index = content.Top.Digest.String()
	}
	ts.Setenv("DIGEST", digest)
	ts.Setenv("INDEX", index)
	imageForms[args[1]](ts, content, args[2])
}

func writeArchive(ts *testscript.TestScript, b []byte, to string) {
	switch {
	case strings.HasSuffix(to, "gz"):
		b = imagetest.Gzip(b)
	case strings.HasSuffix(to, ".zst"):
		b = imagetest.Zstd(b)
	}
	ts.Check(os.WriteFile(ts.MkAbs(to), b, 0o644))
}

func pushImage(ts *testscript.TestScript, c *imagetest.Content, to string) {
	base := box(ts).server.URL()
	api := ecr.NewFromConfig(aws.Config{Region: "ap-south-1", BaseEndpoint: aws.String(base), Credentials: credentials.NewStaticCredentialsProvider("other", "person", "")})
	auth, err := image.Login(context.Background(), api, strings.TrimPrefix(base, "http://"))
	ts.Check(err)
	repo, tag, ok := strings.Cut(to, ":")
	if !ok {
		ts.Fatalf("push to REPOSITORY:TAG, not %s", to)
	}
	ts.Check(c.Push(context.Background(), base, repo, tag, auth.Username, auth.Password))
}

func serveImage(ts *testscript.TestScript, c *imagetest.Content, name string) {
	server := httptest.NewServer(c)
	ts.Defer(server.Close)
	ts.Setenv(name, strings.TrimPrefix(server.URL, "http://"))
}

func loadImage(ts *testscript.TestScript, c *imagetest.Content, name string) {
	files, err := c.Saved(name)
	ts.Check(err)
	e, err := engine.Open(engine.Options{})
	ts.Check(err)
	ts.Defer(func() {
		ts.Check(e.RemoveImage(context.Background(), name))
		e.Close()
	})
	_, err = e.Load(context.Background(), bytes.NewReader(imagetest.Tar(files)))
	ts.Check(err)
}

// cmdCut: cut FILE N — keeps the first N bytes of a file.
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut FILE N")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}
