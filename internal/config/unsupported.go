package config

import (
	"errors"
	"fmt"

	"github.com/weelo/weelo-deploy/internal/event"
)

// unsupported are the keys that are understood but that this version cannot
// honour.
var unsupported = []string{
	"checks.http", "checks.logs",
}

// Unsupported reports everything that is configured and that this version does
// not do, as CodeConfig failures that name key and place; nil when there is
// nothing. Leaving a check or a before-task out in silence would be worse than
// not starting.
func (c *Config) Unsupported() error {
	var errs []error
	for _, key := range unsupported {
		if c.configured(key) {
			errs = append(errs, c.unsupportedFailure(key, key))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) unsupportedFailure(key, what string) error {
	at := c.keyOrigin(key)
	return event.Fail(event.CodeConfig, fmt.Sprintf("%s: %s is not supported by this version", at, what)).
		Hint("remove " + key + " to go on without it")
}
