package awsjson

import (
	"crypto/rand"
	"fmt"
)

// NewUUID is a random UUID of version 4, as AWS makes them for requests, events,
// uploads and versions.
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return FormatUUID(b)
}

// FormatUUID writes 16 bytes as a UUID of version 4.
func FormatUUID(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
