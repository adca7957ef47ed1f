package keytest

import (
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
)

// The fake that other tests stand on keeps the contract, and the suite can be passed.
func TestFake(t *testing.T) {
	Run(t, func(*testing.T) encrypt.Provider { return NewFake("fake") })
	RunService(t, func(*testing.T) (encrypt.Provider, Service) {
		f := NewFake("fake")
		return f, f
	})
}
