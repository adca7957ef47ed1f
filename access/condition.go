package access

import (
	"slices"
	"strings"
)

// quantifier says how a condition takes the several values of a key.
type quantifier uint8

const (
	single quantifier = iota
	forAllValues
	forAnyValue
)

// condition is one operator on one key.
type condition struct {
	op       *operator
	quantity quantifier
	ifExists bool
	key      string // see normalKey
	folded   string // see foldedTag
	operands []operand
}

// newConditions compiles the Condition of a statement, in an order that does
// not depend on the document's.
func (d *dialect) newConditions(raw rawConditions, variables bool) (all []condition, err error) {
	for _, name := range sortedKeys(raw) {
		keys := raw[name]
		template, ok := newOperator(name)
		if !ok {
			return nil, d.fail("Invalid Condition type : %s", clip(name))
		}
		for _, key := range sortedKeys(keys) {
			c := template
			c.key = normalKey(key)
			c.folded = foldedTag(c.key)
			if d == &bucketDialect && !knownKey(c.key) {
				return nil, d.fail("Policy has an invalid condition key")
			}
			if !strings.Contains(key, ":") {
				return nil, d.fail("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
			}
			if d == &bucketDialect && c.op.null && c.key == "aws:sourceip" {
				return nil, d.fail("Invalid IP address in Conditions") // every request has one
			}
			for _, v := range keys[key] {
				o, ok := c.op.parse(v, variables)
				if !ok {
					return nil, d.fail("Invalid value %q for the condition %s of %s", clip(v), clip(name), clip(key))
				}
				c.operands = append(c.operands, o)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// newOperator takes "ForAllValues:StringLikeIfExists" apart.
func newOperator(name string) (c condition, ok bool) {
	if rest, cut := strings.CutPrefix(name, "ForAllValues:"); cut {
		name, c.quantity = rest, forAllValues
	} else if rest, cut := strings.CutPrefix(name, "ForAnyValue:"); cut {
		name, c.quantity = rest, forAnyValue
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	c.op = operators[name]
	return c, c.op != nil && !(c.op.null && (c.ifExists || c.quantity != single))
}

// holds reports whether the condition is met. deny says that the statement
// denies: what is in doubt never makes a statement allow.
func (c *condition) holds(e *env, deny bool) bool {
	if e.open != nil && e.open[familyOf(c.key)] {
		return !deny
	}
	held := c.met(e.lookup(c.key), e, deny)
	if c.folded != "" && held != deny {
		held = c.met(e.lookup(c.folded), e, deny)
	}
	return held
}

// met is holds for the values of one reading of the key.
func (c *condition) met(values []string, e *env, deny bool) bool {
	if c.op.null {
		absent := len(values) == 0
		return slices.ContainsFunc(c.operands, func(o operand) bool { return o.truth == absent })
	}
	if c.quantity != single && !slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
		// AWS takes nothing but empty values for no values at all.
		return c.quantity == forAllValues || c.ifExists && len(values) == 0
	}
	if len(values) == 0 {
		return c.ifExists || c.op.negated
	}
	// A key with several values and no qualifier is undefined on AWS. Here a
	// denial applies if any value meets it, and an allowance if all do.
	every := c.quantity == forAllValues || c.quantity == single && !deny
	for _, v := range values {
		met := c.compare(v, e)
		if met == unknown {
			if !deny {
				return false
			}
			met = verdictOf(c.op.negated)
		}
		if (met == matches) != every {
			return !every
		}
	}
	return every
}

// compare reports whether one value of the request meets the condition.
func (c *condition) compare(v string, e *env) verdict {
	doubt := false
	for i := range c.operands {
		switch c.op.match(&c.operands[i], v, e) {
		case matches:
			return verdictOf(!c.op.negated)
		case unknown:
			doubt = true
		}
	}
	if doubt {
		return unknown
	}
	return verdictOf(c.op.negated)
}
