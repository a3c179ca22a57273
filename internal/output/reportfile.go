package output

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/page"
	"github.com/weelo/weelo-deploy/internal/redact"
)

// Report is a sink that writes the run as a page (internal/output/page) once its
// result is there, whatever the result is.
type Report struct {
	path  string
	clean sanitizer
	// Failed is told when the page cannot be written; nil: nobody is.
	Failed func(error)

	mu  sync.Mutex
	run chronicle.Run
}

// NewReport makes a report at path. That it could not be written there is a
// CodeUsage failure now, and not found out after the release.
func NewReport(path string, r *redact.Redactor) (*Report, error) {
	probe, err := os.CreateTemp(filepath.Dir(path), ".weelo-deploy-*")
	if err == nil {
		probe.Close()
		err = os.Remove(probe.Name())
	}
	if err != nil {
		return nil, event.Fail(event.CodeUsage, fmt.Sprintf("--report %s cannot be written", path)).Because(err)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, event.Fail(event.CodeUsage, fmt.Sprintf("--report %s is a folder", path)).Hint("name a file, such as report.html")
	}
	return &Report{path: path, clean: sanitizer{redactor: r, lines: true}}, nil
}

// Emit implements event.Sink.
func (r *Report) Emit(rec event.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run.Record(r.clean.record(rec))
	if _, last := rec.Event.(event.Result); !last {
		return
	}
	if err := r.write(); err != nil && r.Failed != nil {
		r.Failed(fmt.Errorf("write the report %s: %w", r.path, err))
	}
}

// write replaces the file at once: a reader sees the old page or the new one.
func (r *Report) write() (err error) {
	var b bytes.Buffer
	if err := page.Write(&b, &r.run); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(r.path), ".weelo-deploy-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(b.Bytes()); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil { // a page to look at, as other files are
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), r.path)
}
