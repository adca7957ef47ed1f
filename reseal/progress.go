package reseal

import (
	"encoding/json"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// progress is how far the rows are resealed, as the store keeps it. An edit of it leaves
// rows without their records, and such a row is not taken for whole afterwards.
type progress struct {
	Stage  int    `json:"stage"`
	After  []byte `json:"after,omitempty"`
	Failed int    `json:"failed,omitempty"`
}

// progressOf reads what a deployment's row says; false where it makes no sense.
// An empty value is the start.
func progressOf(d meta.Deployment) (at progress, ok bool) {
	if len(d.Resealed) == 0 {
		return at, true
	}
	err := json.Unmarshal(d.Resealed, &at)
	return at, err == nil && at.Stage >= 0
}

// Describe says how much of a deployment's rows is sealed, and how far those
// without their records are given theirs, as the row says: nothing is proven.
func Describe(d meta.Deployment) string {
	if d.Sealing >= meta.SealingWhole {
		return "whole"
	}
	if d.Sealing <= meta.SealingLegacy { // or 0, of a release before there were any
		return "legacy"
	}
	at, ok := progressOf(d)
	if !ok {
		return "renewed"
	}
	doing := "all rows were looked at"
	if at.Stage < len(stages) {
		doing = fmt.Sprintf("%s, %d of %d", stages[at.Stage].name, at.Stage+1, len(stages))
	}
	if at.Failed > 0 {
		doing += fmt.Sprintf("; %d rows do not open", at.Failed)
	}
	return "renewed: " + doing
}
