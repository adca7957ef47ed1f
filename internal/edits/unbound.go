package edits

// Effect is what an edit that is not noticed may do.
type Effect int

const (
	// Nothing: answers stay what they are; fsck does not find it.
	Nothing Effect = iota
	// Hides: something is not there, as if its row had been removed.
	Hides
	// Changes: an answer is another.
	Changes
)

func (f Effect) allows(verdict string) bool { return f == Changes }

// Unbound is one thing that is in the clear and bound to nothing.
type Unbound struct {
	Table   string
	Columns string // names with spaces between; empty: whole rows
	Kinds   []Kind // nil: all
	Effect  Effect
	Reason  string
}

// Listed finds what allows an edit.
func Listed(e Edit) (Unbound, bool) { return Unbound{}, false }
