// Package awsquery speaks the server's side of the AWS Query protocol: a form
// with an Action and a Version, answered in XML. The Version tells services
// apart.
//
// Start with [NewService] and [Handle], and a [Mux] to serve several. Shapes are
// structures whose members have the names of the API, or those of their json
// tags: a request is read by [Unmarshal] and an answer written by [Marshal], by
// reflection. Members with ",omitzero" are left out when they are zero; an empty
// list is written, for clients tell it from one that is not there.
package awsquery
