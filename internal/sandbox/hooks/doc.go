// Package hooks answers for the Lambda functions that deployment lifecycle hooks
// call.
//
// A [Script] is posted to /_sandbox/hooks and says what a function answers:
//
//	{"function":"approve","status":"FAILED"}
//	{"function":"approve","after":2,"callBackDelay":10}
//	{"function":"approve","stage":"PRE_SCALE_UP","status":"FAILED"}
//	{"function":"approve","answer":{}}
//	{"function":"approve","error":"Rate Exceeded."}
//	{"function":"approve","url":"http://127.0.0.1:9000/approve"}
//
// function is a name or an ARN. With after, that many calls are answered
// IN_PROGRESS first. answer is given as it is. A url, which must be one of this
// machine, is posted the event that ECS sends a function, and its body is the
// answer. Of several scripts for a function the latest that fits the stage
// counts; a function without one succeeds at once.
//
// GET lists the scripts and the latest calls, with what was answered and whether
// a script did; DELETE removes them all.
package hooks
