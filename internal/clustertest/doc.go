// Package clustertest proves that several gateways over one PostgreSQL are one
// gateway: histories of requests to three engines have one order, a gateway that
// was taken for dead cannot commit, and real processes lose nothing when one of
// them, the database or the storage is killed under load. It has tests and
// nothing else; what a single gateway must keep is tested elsewhere.
package clustertest
