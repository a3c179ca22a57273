package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/output"
)

// Set by the linker in released binaries (.goreleaser.yaml).
var version, commit, date string

type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		Example: "  weelo-deploy version --json",
		RunE:    func(*cobra.Command, []string) error { return a.printVersion() },
	}
}

func (a *app) printVersion() error {
	info, _ := debug.ReadBuildInfo()
	v := readVersion(version, commit, date, info)
	if a.wantsJSON() {
		return output.WriteObject(a.stdout, nil, v)
	}
	_, err := fmt.Fprintf(a.stdout, "weelo-deploy %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
	return err
}

// readVersion prefers what the linker set, then what the go command recorded.
func readVersion(version, commit, date string, info *debug.BuildInfo) versionInfo {
	v := versionInfo{Version: version, Commit: commit, Date: date, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info != nil {
		if v.Version == "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && v.Commit == "":
				v.Commit = s.Value
			case s.Key == "vcs.time" && v.Date == "":
				v.Date = s.Value
			}
		}
	}
	if v.Version == "" {
		v.Version = "(devel)"
	}
	return v
}
