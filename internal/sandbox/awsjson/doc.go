// Package awsjson speaks the server's side of the AWS JSON 1.1 protocol: one
// POST / per call, the operation in X-Amz-Target, members in lowerCamelCase,
// times as epoch seconds, errors as {"__type":…,"message":…}.
//
// The shapes are the SDK's own: a request decodes into an operation's Input
// ([Unmarshal]) and an answer encodes from its Output ([Marshal]), by
// reflection. The SDK's serializer is not used for answers, because it leaves
// out zero numbers and false, which AWS sends ("runningCount":0).
//
// Start with [NewService] and [Handle] for the operations of one service, and
// [Mux] to serve several of them from one address. What the package refuses:
// bodies over [MaxBody], bodies that are no JSON object or have members of a
// wrong type (SerializationException), and operations that nobody handles
// (UnknownOperationException, which names them).
package awsjson
