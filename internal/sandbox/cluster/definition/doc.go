// Package definition keeps the task definitions of the sandbox's ECS.
//
// A revision is stored as the JSON that was registered, so that members that
// the SDK does not know yet come back as they went in; the server's own
// members (ARN, revision, status, compatibilities, …) and the defaults that
// AWS fills in are added when it is told about ([Definition.JSON]). Start
// with [Store.Register] and [Store.Get].
//
// What cannot be registered is refused with the exceptions and texts of
// RegisterTaskDefinition. A [Store] is not safe for concurrent use; package
// cluster guards it.
package definition
