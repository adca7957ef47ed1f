package access

import "reflect"

// sizeOf is how many bytes a value takes, without what it refers to.
func sizeOf[T any]() int { return int(reflect.TypeFor[T]().Size()) }

// stringSize is how many bytes the text of a string takes where it is a value of its own.
func stringSize(s string) int {
	const short, unit = 8, 16 // in which memory is given out
	if len(s) <= short {
		return short
	}
	return (len(s) + unit - 1) / unit * unit
}

// Size is about how many bytes the policy takes in memory: for caches, which are bounded
// by bytes.
func (p *Policy) Size() int {
	if p == nil {
		return 0
	}
	return p.size
}

var policySize = sizeOf[Policy]()

func (p *Policy) measure() int {
	n := policySize + stringSize(p.Name) + stringSize(p.text)
	for _, list := range [...][]statement{p.denies, p.allows} {
		for i := range list {
			n += list[i].size()
		}
	}
	return n + n/roundedUp
}

// roundedUp is what part more than it asks for is given to a long list.
const roundedUp = 8

var statementSize, conditionSize = sizeOf[statement](), sizeOf[condition]()

func (s *statement) size() int {
	n := statementSize + stringSize(s.sid) + s.principals.size()
	for _, p := range s.actions.patterns {
		n += sizeOf[string]() + stringSize(p)
	}
	for i := range s.resources {
		n += s.resources[i].size()
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		n += conditionSize + stringSize(c.key) + stringSize(c.folded) + c.operands.size()
	}
	return n
}

// principalSize and principalsSize are what a name of a principalSet takes beside its
// text, and the set beside its names.
const (
	principalSize  = 48
	principalsSize = 320
)

func (s *principalSet) size() int {
	if s == nil {
		return 0
	}
	n := principalsSize
	for name := range s.names {
		n += principalSize + stringSize(name)
	}
	return n
}
