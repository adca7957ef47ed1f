package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// noAccount is the number of no tenant: access takes it for one without.
const noAccount = "000000000000"

// Account is the 12-digit account number of a tenant, which ARNs show. It is
// derived from the id one way.
func Account(tenant meta.ID) string {
	h := sha256.Sum256(append([]byte("sanctum account number\x00"), tenant[:]...))
	return fmt.Sprintf("%012d", binary.BigEndian.Uint64(h[:])%1_000_000_000_000)
}
