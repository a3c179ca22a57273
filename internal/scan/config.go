package scan

import (
	"encoding/json"
	"fmt"
	"strings"
)

// config is what the scan goes by of an image's config (OCI image
// specification, config.md, with Docker's health check).
type config struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant"`
	Config       struct {
		Env, Entrypoint, Cmd []string
		WorkingDir           string
		Healthcheck          *struct{ Test []string }
	} `json:"config"`
	History []struct {
		CreatedBy  string `json:"created_by"`
		EmptyLayer bool   `json:"empty_layer"`
	} `json:"history"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

func parseConfig(raw []byte) (config, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("decode the image's config: %w", err)
	}
	return c, nil
}

// step names the Dockerfile step that made a layer; "" when the history does
// not say. The history has an entry for each step, those without a layer marked.
func (c config) step(layer int) string {
	n := 0
	for _, h := range c.History {
		if h.EmptyLayer {
			continue
		}
		if n == layer {
			return cleanStep(h.CreatedBy)
		}
		n++
	}
	return ""
}

// cleanStep writes a step as the Dockerfile has it: builders put a shell before
// it, or a mark behind it.
func cleanStep(s string) string {
	s = strings.TrimSuffix(strings.Join(strings.Fields(s), " "), " # buildkit")
	if rest, ok := strings.CutPrefix(s, "/bin/sh -c #(nop) "); ok {
		return shorten(strings.TrimSpace(rest))
	}
	if rest, ok := strings.CutPrefix(s, "/bin/sh -c "); ok {
		return shorten("RUN " + rest)
	}
	return shorten(strings.Replace(s, "RUN /bin/sh -c ", "RUN ", 1))
}

func shorten(s string) string {
	const longest = 160
	if len(s) > longest {
		return s[:longest] + "…"
	}
	return s
}

// env is the image's environment by name; the last setting counts.
func (c config) env() map[string]string {
	m := map[string]string{}
	for _, e := range c.Config.Env {
		k, v, _ := strings.Cut(e, "=")
		m[k] = v
	}
	return m
}
