package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/schema"
)

// configReport is the JSON form of config show (docs/json-output.md).
type configReport struct {
	File   string        `json:"file,omitempty"`
	Env    string        `json:"environment,omitempty"`
	Values []configValue `json:"values"`
}

type configValue struct {
	Key    string        `json:"key"`
	Value  string        `json:"value"`
	Source config.Source `json:"source"`
	Name   string        `json:"name,omitempty"` // of the file, the variable or the flag
	Line   int           `json:"line,omitempty"`
	Column int           `json:"column,omitempty"`
}

func newConfigCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "The configuration as it applies", Args: noArgs,
		Example: "  weelo-deploy config show --origin",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigShowCommand(a))
	return cmd
}

func newConfigShowCommand(a *app) *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use: "show", Short: "Print every value that applies; secrets masked", Args: noArgs,
		Long: `show prints the configuration as it applies: the file with the chosen
environment, WEELO_DEPLOY_* variables, flags and defaults. What may be secret is
masked.`,
		Example: `  weelo-deploy config show --origin            # and where each value came from
  weelo-deploy config show --env staging --json`,
		RunE: func(*cobra.Command, []string) error { return a.showConfig(origin) },
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value came from")
	return cmd
}

func (a *app) showConfig(origin bool) error {
	s, err := a.begin("config show")
	if err != nil {
		return err
	}
	if err := s.load(overrides{}); err != nil {
		return s.refuse(err)
	}
	values := s.config.Values()
	if a.wantsJSON() {
		return output.WriteObject(a.stdout, s.redact, configJSON(s.config, values))
	}
	// Defaults say nothing of the file, and a file that is not there is worth saying.
	if s.config.File == "" {
		fmt.Fprintf(a.stderr, "there is no %s here or above\n", config.FileName)
	}
	_, err = io.WriteString(a.stdout, s.redact.String(config.YAML(values, origin)))
	return err
}

func configJSON(c *config.Config, values []config.Value) configReport {
	rep := configReport{File: c.File, Env: c.Env, Values: []configValue{}}
	for _, v := range values {
		o := v.Origin
		if o.Source == config.FromDefault {
			o.Name = ""
		}
		rep.Values = append(rep.Values, configValue{v.Path, v.Text, o.Source, o.Name, o.Line, o.Column})
	}
	return rep
}

func newSchemaCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of " + config.FileName, Args: noArgs,
		Long: `schema prints the JSON schema of weelo-deploy.yaml for editors and validators.
weelo-deploy init writes the line that makes editors find it.`,
		Example: "  weelo-deploy schema > weelo-deploy.schema.json",
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(schema.Configuration)
			return err
		},
	}
}
