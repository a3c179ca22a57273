// Package registry is the sandbox's Elastic Container Registry: a real OCI
// registry for docker push and pull, and the ECR API over the same store.
//
// It behaves as ECR does where ECR is stricter than other registries:
// repositories must exist before a push, immutable tags refuse another digest,
// clients log in as user AWS with a token, and a layer belongs to the
// repositories that it was pushed or mounted to. Content streams to and from
// disk, so memory does not depend on the size of images.
//
// Start with [Open]; [Store.Handler] serves /v2/ and [Store.ECR] the API.
// [Store.Resolve] is for the scheduler: what would a pull of this reference get,
// on this platform? The engine cannot be asked that, for it answers from its own
// cache.
//
// State survives a restart when a directory is given. It is written with a
// temporary file and a rename: it outlives a killed process and, with [Durable], a
// power failure.
package registry
