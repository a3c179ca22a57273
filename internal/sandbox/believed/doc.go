// Package believed holds the sandbox against AWS through clients that are not
// ours: the SDK's clients, waiters and paginators, and requests written by hand.
//
// It has tests only. Start with behaviours_test.go: one list of what AWS does,
// each with where that is said and a check. A change in the sandbox that AWS would
// not make fails one of them. What is missing from the sandbox is not listed here
// but in docs/sandbox.md.
package believed
