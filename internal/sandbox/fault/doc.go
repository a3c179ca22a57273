// Package fault makes the sandbox misbehave on request, and remembers who called
// what.
//
// A [Rule] is posted to /_sandbox/faults and says when it acts and what it does:
//
//	{"when":"DescribeTasks","times":3,"error":"ThrottlingException"}
//	{"when":"UpdateService","status":503}
//	{"when":"DescribeServices","delay":"2s"}
//	{"when":"RegisterTaskDefinition","hang":true}
//	{"when":"UpdateService","dropAnswer":true}
//	{"when":"UpdateService","cut":"middle"}
//	{"when":"DescribeServices","garbage":true}
//	{"when":"UpdateService","deleteImage":"weelo-backend:broken"}
//	{"when":"UpdateService","alarm":"web-5xx","state":"ALARM","in":"10s"}
//	{"push":"denied","repository":"weelo-backend"}
//	{"push":"enospc"}
//	{"push":"unavailable","times":2}
//	{"pull":"denied"}
//	{"pull":"rate-limit","repository":"weelo-backend"}
//	{"task":"web","exit":139,"delay":"2s"}
//	{"task":"web","health":"slow","delay":"1m","running":true}
//	{"deny":"ecs:UpdateService"}
//
// GET lists the rules with how often each has acted, and on what of late; DELETE
// removes them all, or one (/_sandbox/faults/ID).
//
// Delay and hang come before the operation; an error, a status, garbage or a cut
// before come instead of it. deleteImage, dropAnswer and a cut in the middle come
// after it, and only when it succeeded: the image goes before anything can have
// looked it up on the operation's behalf, and the connection is cut though the
// operation took effect.
//
// A pull that is denied is denied to every client; the other reasons are those of
// tasks, and what ECS says of them. Faults of tasks are carried out by package
// mishap, on any runtime.
//
// deny takes a permission away until the rule is removed: its calls are denied and
// IAM's simulator says so.
//
// A rule acts "times" times, after having let "after" matching calls pass, and
// goes when it has lasted as long as "lasts" says. Without times, what needs a
// success acts once and everything else acts until it is removed. Of several rules
// that match a call, the oldest that is not used up acts alone; on a task all act.
//
// [Log] keeps the latest calls and counts all of them; GET /_sandbox/calls shows
// them, DELETE forgets them. Tests use it to prove that nothing was changed.
package fault
