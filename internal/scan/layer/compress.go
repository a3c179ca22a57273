package layer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds what a zstd stream may ask us to remember, in bytes; it is
// what zstd's own command takes without being told to.
const maxWindow = 128 << 20

// foreign are compressions that registries do not take for layers.
var foreign = map[string]string{
	"\xfd7zXZ\x00":     "xz",
	"BZh":              "bzip2",
	"\x04\x22\x4d\x18": "lz4",
}

// Decompress opens a layer's tar by its first bytes: gzip, zstd or plain. The
// name says which. A plain r that can seek stays so.
func Decompress(r io.Reader) (tar io.ReadCloser, name string, err error) {
	if s, ok := r.(ReadSeekerAt); ok {
		head := make([]byte, 6)
		n, err := io.ReadFull(s, head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return nil, "", err
		}
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			return nil, "", err
		}
		return open(s, head[:n])
	}
	b := bufio.NewReaderSize(r, 256<<10)
	head, err := b.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	return open(b, head)
}

func open(r io.Reader, head []byte) (io.ReadCloser, string, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(buffered(r))
		if err != nil {
			return nil, "", fmt.Errorf("open gzip: %w", err)
		}
		return z, "gzip", nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, "", fmt.Errorf("open zstd: %w", err)
		}
		return z.IOReadCloser(), "zstd", nil
	}
	for magic, name := range foreign {
		if bytes.HasPrefix(head, []byte(magic)) {
			return nil, name, fmt.Errorf("it is packed with %s; registries and ECS take gzip, zstd or plain tar", name)
		}
	}
	if s, ok := r.(ReadSeekerAt); ok {
		return fileNopCloser{s}, "plain", nil
	}
	return io.NopCloser(r), "plain", nil
}

func buffered(r io.Reader) io.Reader {
	if _, ok := r.(*bufio.Reader); ok {
		return r
	}
	return bufio.NewReaderSize(r, 256<<10)
}

type fileNopCloser struct{ ReadSeekerAt }

func (fileNopCloser) Close() error { return nil }
