//go:build linux && clients

package transfer

const importObjects = 10000
