// Package schema holds the JSON schema of weelo-deploy.yaml, for editors and other
// tools. The file is generated from the types and rules of internal/config and from
// the table of keys in docs/configuration.md; a test holds it equal to them.
package schema

import _ "embed"

//go:generate go test ../internal/config -run TestSchema_isGenerated -update

// Configuration is the schema of weelo-deploy.yaml, JSON Schema draft 7.
//
//go:embed weelo-deploy.schema.json
var Configuration []byte
