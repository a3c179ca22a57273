package sandbox

import (
	"encoding/json"
	"net/http"

	"github.com/weelo/weelo-deploy/internal/sandbox/control"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
)

// applyLifecycle carries lifecycle policies out now, instead of within a day: of
// one repository, or of all without a body.
func (s *Server) applyLifecycle(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Repository string `json:"repository"`
	}
	if !readControl(w, r, &in) {
		return
	}
	deeds, err := s.registry.ApplyLifecycle(in.Repository)
	answerControl(w, map[string]any{"images": deeds}, err)
}

// setFindings says what scans of an image find from now on.
func (s *Server) setFindings(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Repository string             `json:"repository"`
		Reference  string             `json:"reference"` // tag or digest
		Findings   []registry.Finding `json:"findings"`
	}
	if !readControl(w, r, &in) {
		return
	}
	answerControl(w, map[string]any{"findings": len(in.Findings)}, s.registry.SetFindings(in.Repository, in.Reference, in.Findings))
}

// readControl reads a request strictly; an empty one is an empty object. It
// answers, and returns false, when that fails.
func readControl(w http.ResponseWriter, r *http.Request, into any) bool {
	if r.ContentLength == 0 {
		return true
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, control.MaxRequest))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err != nil {
		answerControl(w, nil, err)
	}
	return err == nil
}

func answerControl(w http.ResponseWriter, v any, err error) {
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	control.Answer(w, http.StatusOK, v)
}
