// Package taskdef reads ECS task definitions and makes the next revision of
// one, without loss.
//
// A Definition is the JSON that AWS sent, kept as it was: members that the SDK
// does not know yet, the order of members and the spelling of numbers survive
// into the revision that is registered. Next changes only what a Change names;
// Diff shows what differs, with the values of environment variables masked;
// Client reads and registers definitions through the real SDK client, whose
// typed structures never touch the bytes.
//
// The package decides nothing about images or outcomes: which digest goes in,
// and which tags a revision gets, is its caller's business.
package taskdef

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Definition is one task definition. It is immutable. Made by Next, it is not
// registered yet: ARN, Revision and Status are empty.
type Definition struct {
	raw        json.RawMessage
	tags       []Tag
	head       head
	containers []Container
}

// head holds the members of a task definition that the tool reads itself.
type head struct {
	ARN             string          `json:"taskDefinitionArn"`
	Family          string          `json:"family"`
	Revision        float64         `json:"revision"` // whole, in any spelling of JSON
	Status          string          `json:"status"`
	RegisteredAt    timestamp       `json:"registeredAt"`
	Compatibilities []string        `json:"requiresCompatibilities"`
	Platform        runtimePlatform `json:"runtimePlatform"`
	Memory          string          `json:"memory"`
	Containers      []rawContainer  `json:"containerDefinitions"`
}

type runtimePlatform struct {
	CPU string `json:"cpuArchitecture"`
	OS  string `json:"operatingSystemFamily"`
}

// Parse reads a task definition: the "taskDefinition" member of an answer of
// DescribeTaskDefinition or RegisterTaskDefinition, as sent, and the tags that
// stand beside it. It refuses what is not a JSON object, has no family, or
// holds one of the members that the tool reads in another type than AWS's.
func Parse(raw json.RawMessage, tags []Tag) (*Definition, error) {
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		return nil, fmt.Errorf("read task definition: %w", err)
	}
	if h.Family == "" {
		return nil, errors.New("read task definition: it has no family")
	}
	d := &Definition{raw: bytes.Clone(raw), tags: sortedTags(tags), head: h}
	for _, c := range h.Containers {
		d.containers = append(d.containers, c.container())
	}
	return d, nil
}

// ARN is the definition's full ARN, with the revision.
func (d *Definition) ARN() string { return d.head.ARN }

// Family is the name that all revisions share.
func (d *Definition) Family() string { return d.head.Family }

// Revision is the revision's number; 0 when it is not registered yet.
func (d *Definition) Revision() int { return int(d.head.Revision) }

// Name is "family:revision", or the family alone when it is not registered yet.
func (d *Definition) Name() string {
	if d.Revision() == 0 {
		return d.head.Family
	}
	return d.head.Family + ":" + strconv.Itoa(d.Revision())
}

// Status is ACTIVE, INACTIVE or DELETE_IN_PROGRESS.
func (d *Definition) Status() string { return d.head.Status }

// RegisteredAt is when the revision was registered, on AWS's clock.
func (d *Definition) RegisteredAt() time.Time { return d.head.RegisteredAt.Time }

// Raw is the definition's JSON as AWS sent it, or as Next wrote it.
func (d *Definition) Raw() json.RawMessage { return bytes.Clone(d.raw) }

// MemoryMiB is the memory of the task as a whole, in MiB; 0 when it has none. ECS
// turns whatever was registered ("1 GB") into a number of MiB.
func (d *Definition) MemoryMiB() int {
	n, err := strconv.Atoi(d.head.Memory)
	if err != nil {
		return 0
	}
	return n
}

// Platform is the definition's runtimePlatform in Go's words ("linux", "amd64").
// Windows families are kept in AWS's spelling (WINDOWS_SERVER_2022_CORE). set is
// false when the definition does not say which architecture it wants. On
// Fargate a runtimePlatform that names only one of the two gets AWS's default
// for the other: LINUX, X86_64 (task definition parameters for Fargate, ECS
// Developer Guide).
func (d *Definition) Platform() (os, arch string, set bool) {
	p := d.head.Platform
	if p == (runtimePlatform{}) {
		return "", "", false
	}
	fargate := false
	for _, c := range d.head.Compatibilities {
		fargate = fargate || c == "FARGATE"
	}
	if p.CPU == "" && !fargate {
		return "", "", false
	}
	return goOS(p.OS), goArch(p.CPU), true
}

func goOS(family string) string {
	if family == "LINUX" || family == "" {
		return "linux"
	}
	return family
}

func goArch(cpu string) string {
	switch cpu {
	case "X86_64", "":
		return "amd64"
	case "ARM64":
		return "arm64"
	}
	return cpu
}

// timestamp reads a time of AWS JSON 1.1: seconds since 1970 as a number. Text
// in RFC 3339, as the AWS CLI prints it, is read as well.
type timestamp struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *timestamp) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &t.Time)
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsInf(f, 0) || math.Abs(f) > 1e12 {
		return fmt.Errorf("read timestamp %.40q: not a number of seconds", b)
	}
	t.Time = time.UnixMilli(int64(math.Round(f * 1000))).UTC()
	return nil
}
