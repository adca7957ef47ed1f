package edits

import (
	"slices"
	"strings"
)

// Effect is what an edit that is not noticed may do.
type Effect int

const (
	// Nothing: answers stay what they are, or become errors, and fsck does not find it.
	Nothing Effect = iota
	// Hides: something is not there, as if its row had been removed.
	Hides
	// Changes: an answer is another.
	Changes
)

func (f Effect) String() string {
	return [...]string{"nothing that a client sees", "hide what there is", "change what is answered"}[f]
}

// Unbound is what is in the clear in the store and not bound to what is sealed.
type Unbound struct {
	Table   string
	Columns string // names with spaces between; "*": every column; empty: whole rows
	Kinds   []Kind // nil: all
	Effect  Effect
	Reason  string
}

// lists reports whether an edit is one of this.
func (u Unbound) lists(e Edit) bool {
	if u.Table != e.Table.Name || len(u.Kinds) > 0 && !slices.Contains(u.Kinds, e.Kind) {
		return false
	}
	if u.Columns == "" || e.Column == "" {
		return u.Columns == "" && e.Column == ""
	}
	return u.Columns == "*" || slices.Contains(strings.Fields(u.Columns), e.Column)
}

// Line is the entry as a row of the table in docs/threat-model.md.
func (u Unbound) Line() string {
	columns := "`" + strings.Join(strings.Fields(u.Columns), "`, `") + "`"
	switch u.Columns {
	case "":
		columns = "whole rows"
	case "*":
		columns = "every column"
	}
	kinds := "any"
	if len(u.Kinds) > 0 {
		kinds = strings.Join(kindNames(u.Kinds), "; ")
	}
	return "| `" + u.Table + "` | " + columns + " | " + kinds + " | " + u.Effect.String() + " | " + u.Reason + " |"
}

func kindNames(kinds []Kind) (all []string) {
	for _, k := range kinds {
		all = append(all, string(k))
	}
	return all
}
