// Package mishap makes tasks die, or fail their health checks, as the faults of
// package fault want it, whatever runs them.
//
// [Wrap] puts itself between the control plane and its [task.Runtime]. A
// container that is to die is killed for real, so that its log is complete and
// its neighbours notice; only the exit code that is told is the fault's. What a
// health check says is held back or turned into its opposite. A fault that is
// taken back lets the truth through again.
package mishap
