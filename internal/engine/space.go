package engine

import (
	"context"
	"strings"
)

// FreeSpace is the space that is left where the engine keeps its images. It is
// known only when that folder is on this machine, and not in a virtual machine's
// disk.
func (e *Engine) FreeSpace(ctx context.Context) (bytes int64, known bool, err error) {
	if !e.Local() {
		return 0, false, nil
	}
	asked, cancel := context.WithTimeoutCause(ctx, answerTimeout, errSilent)
	defer cancel()
	i, err := e.c.Info(asked)
	if err != nil {
		return 0, false, e.wrapAsked(ctx, asked, "ask the engine for its description", err)
	}
	if strings.HasPrefix(i.OperatingSystem, "Docker Desktop") {
		return 0, false, nil
	}
	free, err := freeAt(i.DockerRootDir)
	return free, err == nil, nil
}
