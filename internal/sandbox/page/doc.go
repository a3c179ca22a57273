// Package page is what a browser shows of a sandbox: one page at GET /, live by
// server-sent events, with buttons that break things.
//
// [Handler] serves it. What there is to show it reads through a [View] of small
// structs, and what a button does is the business of a [Hand]; it knows neither
// ECS nor the registry. Everything that is drawn is a pure function of a View and
// of what the reader has opened, which is in the address (look.go): so a reader
// without script sees the same by following links.
//
// The page is made of parts (sheet.go). A stream sends the parts that changed,
// and the script changes only the nodes that differ, so that scroll, focus and
// selection stay. A reader that is slow or gone costs one goroutine until its
// write has been waited for, and nothing to others.
//
// Text of others (logs, events, names) is cleaned (words.go) and escaped by
// gomponents. The content security policy allows the page's own script and style
// by their hashes and nothing else.
package page
