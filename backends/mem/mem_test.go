package mem_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
	"github.com/sanctum-storage/gateway/backends/mem"
)

func TestContract(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backends.Backend { return mem.New() })
}
