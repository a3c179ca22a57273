package main

import "strings"

// graphMarks draw the deployments, newest first, as a line of what served with what
// did not beside it: ◉ serves now, ● served, ↺ served again, ○ in progress, ✖ failed.
func graphMarks(list []historyEntry) []string {
	served := map[string]bool{}
	marks := make([]string, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		e := list[i]
		mark := "├─✖"
		switch {
		case strings.HasPrefix(e.Outcome, "succeeded"):
			mark = "●"
			if served[e.TaskDefinition] {
				mark = "↺"
			}
			served[e.TaskDefinition] = true
		case e.Finished.IsZero():
			mark = "├─○"
		}
		if e.Serving {
			mark = "◉"
		}
		marks[i] = mark
	}
	return marks
}
