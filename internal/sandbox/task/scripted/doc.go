// Package scripted is a [task.Runtime] without containers: what each image
// does is said by a [Script]. It is for tests of what runs above it, and works
// under testing/synctest, as it waits by timers and channels only.
//
// Start with [New] and [Runtime.Set]. An image without a script starts at once,
// is healthy after one interval of its health check, and ends with exit code 0
// when it is stopped.
package scripted
