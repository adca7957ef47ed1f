package access

import (
	"slices"
	"strings"
)

// quantifier tells how a condition treats several values of a key.
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
	// variables: some operand has variables.
	variables bool
	// again is the condition regardless of case, for a key in tagKeyLists; nil:
	// there is none.
	again *condition
}

// newConditions compiles the Condition of a statement. Their order does not
// depend on the document's.
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
				// Every request has an address, so that the condition would be
				// without effect.
				return nil, d.fail("Invalid IP address in Conditions")
			}
			values, bad := sortedOnce(keys[key]), 0
			if c.operands, bad = c.op.compile(values, variables); bad >= 0 {
				return nil, d.fail("Invalid value %q for the condition %s of %s", clip(values[bad]), clip(name), clip(key))
			}
			c.again = c.foldedTwin(values, variables)
			c.variables = variables && slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "${") })
			all = append(all, c)
		}
	}
	return exactly(all), nil
}

// sortedOnce returns the texts in order, without duplicates.
func sortedOnce(t []string) []string {
	all := slices.Clone(t)
	slices.Sort(all)
	return slices.Compact(all)
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// newOperator parses a name such as "ForAllValues:StringLikeIfExists".
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

// holds reports whether the condition is met. deny: the statement denies. A
// doubtful condition never makes a statement allow.
func (c *condition) holds(e *env, deny bool) bool {
	// An open key may get any value. So an allowance may still hold, and a denial
	// is not certain.
	if e.open != nil && e.open[familyOf(c.key)] {
		return !deny
	}
	values := e.lookup(c.key)
	held := c.met(values, e, deny)
	// The second reading counts only where it makes the statement stricter: for an
	// allowance that holds, and for a denial that does not.
	switch {
	case held == deny:
	case c.folded != "":
		held = c.met(e.lookup(c.folded), e, deny)
	case c.again != nil:
		held = c.again.met(foldAll(values), e.folding(), deny)
	}
	return held
}

// met is holds for one reading of the key.
func (c *condition) met(values []string, e *env, deny bool) bool {
	if c.op.null {
		absent := len(values) == 0
		return c.operands.(truths).holds(absent)
	}
	if c.quantity != single && !slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
		// AWS treats a list of only empty values as no values.
		return c.quantity == forAllValues || c.ifExists && len(values) == 0
	}
	if len(values) == 0 {
		return c.ifExists || c.op.negated
	}
	// On AWS, a key with several values is undefined without a qualifier. Here
	// a denial applies if any value meets it, and an allowance if all do.
	every := c.quantity == forAllValues || c.quantity == single && !deny
	for _, v := range values {
		met := c.compare(v, e)
		if met == unknown {
			if !deny {
				return false
			}
			// In a denial, a doubtful value counts like an absent key: only a negated
			// operator is met.
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
	// A doubt stays a doubt under a negated operator.
	return verdictOf((met == matches) != c.op.negated)
}
