// Package suites has the tests that libraries for Go bring for their drivers of
// S3, run against a gateway that stands already: the environment names it, as
// package clienttest sets it. It is a module of its own, so that what it requires
// is no part of the gateway's.
package suites
