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
	operands operands
	// variables: an operand has some.
	variables bool
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
			values, bad := sortedOnce(keys[key]), 0
			if c.operands, bad = c.op.compile(values, variables); bad >= 0 {
				return nil, d.fail("Invalid value %q for the condition %s of %s", clip(values[bad]), clip(name), clip(key))
			}
			c.variables = variables && slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "${") })
			all = append(all, c)
		}
	}
	return exactly(all), nil
}

// sortedOnce is the texts in order, each once.
func sortedOnce(t []string) []string {
	all := slices.Clone(t)
	slices.Sort(all)
	return slices.Compact(all)
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
		return c.operands.(truths).holds(absent)
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
	met := c.operands.compare(c.op, v, e)
	if met == unknown {
		return unknown
	}
	return verdictOf((met == matches) != c.op.negated)
}
