package sqlstore

import (
	"fmt"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// checkPlace returns ErrLimit for an invalid name of a backend or entry of a
// residency. A name cannot include the separator of entries.
func checkPlace(name string) error {
	if strings.ContainsAny(name, placeEnd+"\x00") {
		return fmt.Errorf("%w: the name of a place has a line feed or NUL", meta.ErrLimit)
	}
	return checkCount("bytes of a place's name", len(name), meta.MaxPlaceName)
}

// placeEnd separates the entries of a residency column.
const placeEnd = "\n"

// checkResidency returns ErrLimit for an invalid residency.
func checkResidency(entries []string) error {
	if len(entries) > meta.MaxResidency {
		return checkCount("entries of residency", len(entries), meta.MaxResidency)
	}
	for _, e := range entries {
		if err := checkPlace(e); err != nil {
			return err
		}
	}
	return nil
}

// checkTenantResidency is checkResidency for the single entry of a tenant.
func checkTenantResidency(entry string) error {
	if entry == "" {
		return nil
	}
	return checkPlace(entry)
}

func joinResidency(entries []string) []byte { return text(strings.Join(entries, placeEnd)) }

// residencyColumn reads entries; NULL is none.
type residencyColumn []string

func (c *residencyColumn) Scan(src any) error {
	var joined textColumn
	if err := joined.Scan(src); err != nil {
		return err
	}
	*c = nil
	if joined != "" {
		*c = strings.Split(string(joined), placeEnd)
	}
	if err := checkResidency(*c); err != nil {
		return fmt.Errorf("residency column is damaged: %w", err)
	}
	return nil
}
