package reseal

import (
	"fmt"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// The words that operators are told of a store that is sealed step by step.
func TestDescribe(t *testing.T) {
	for want, d := range map[string]meta.Deployment{
		"whole":  {Sealing: meta.SealingWhole},
		"legacy": {Sealing: meta.SealingLegacy},
		fmt.Sprintf("renewed: tenants, 1 of %d", len(stages)):                      {Sealing: meta.SealingRenewed},
		fmt.Sprintf("renewed: versions, 5 of %d; 2 rows do not open", len(stages)): {Sealing: meta.SealingRenewed, Resealed: []byte(`{"stage":4,"after":"AAAA","failed":2}`)},
		"renewed: all rows were looked at":                                         {Sealing: meta.SealingRenewed, Resealed: []byte(`{"stage":6}`)},
		"renewed":                                                                  {Sealing: meta.SealingRenewed, Resealed: []byte("?")},
	} {
		if got := Describe(d); got != want {
			t.Errorf("%+v is %q, want %q", d, got, want)
		}
	}
}
