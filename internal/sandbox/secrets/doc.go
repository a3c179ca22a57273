// Package secrets holds the values that tasks get by a secret's valueFrom: the
// parameters of SSM's Parameter Store and the secrets of Secrets Manager, with as
// much of both APIs as it takes to write and read them.
//
// [New] makes a store, [Store.SSM] and [Store.SecretsManager] serve it, and
// [Store.Value] reads what a task definition names. Nothing is encrypted: a
// SecureString is a String that says so, and is told as ciphertext without
// WithDecryption. The errors have AWS's names and texts.
package secrets
