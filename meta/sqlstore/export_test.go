package sqlstore

import (
	"context"
	"slices"
)

// Below returns the runner of a store.
func (s *Store) Below() Runner { return s.run }

// VerifyInRounds is Verify with few bodies in memory at once.
func (s *Store) VerifyInRounds(ctx context.Context, bodies int) (VerifyReport, error) {
	return s.verify(ctx, bodies)
}

// Declared are the tables and columns that Copy and Verify know.
func Declared() map[string][]string {
	all := make(map[string][]string)
	for _, t := range append([]relation{deploymentTable}, tables...) {
		all[t.name] = slices.Clone(t.columns)
	}
	return all
}
