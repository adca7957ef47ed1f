package access

import "reflect"

// sizeOf is the size of a value in bytes, without what it points to.
func sizeOf[T any]() int { return int(reflect.TypeFor[T]().Size()) }

// stringSize is the memory of a separately allocated string's text, in bytes.
func stringSize(s string) int {
	const short, unit = 8, 16 // allocation units
	if len(s) <= short {
		return short
	}
	return (len(s) + unit - 1) / unit * unit
}

// Size is the approximate memory of the policy in bytes, for caches that are
// bounded by bytes.
func (p *Policy) Size() int {
	if p == nil {
		return 0
	}
	return p.size
}

var policySize = sizeOf[Policy]()

// measure adds up the policy's memory.
func (p *Policy) measure() int {
	n := policySize + stringSize(p.Name) + stringSize(p.text)
	for _, list := range [...][]statement{p.denies, p.allows} {
		for i := range list {
			n += list[i].size()
		}
	}
	return n + n/roundedUp
}

// roundedUp: the allocator rounds a long list up by at most this fraction.
const roundedUp = 8

var statementSize, conditionSize = sizeOf[statement](), sizeOf[condition]()

// size is the memory of a statement besides shared values, in bytes.
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
		if c.again != nil {
			n += conditionSize + c.again.operands.size()
		}
	}
	return n
}

// principalSize is the memory of a name in a principalSet besides its text,
// principalsSize that of the set besides its names.
const (
	principalSize  = 48
	principalsSize = 320
)

// size is the memory of the set, in bytes.
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
