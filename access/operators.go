package access

// verdict is the result of comparing a value of the request with one of the
// policy.
type verdict uint8

const (
	differs verdict = iota
	matches
	// unknown: a variable of the policy has no value, or the request's value
	// does not have the operator's type. It never helps to allow anything.
	unknown
)

// verdictOf is the verdict of a comparison without a doubt.
func verdictOf(ok bool) verdict {
	if ok {
		return matches
	}
	return differs
}

// operator is a condition operator without its qualifier and IfExists.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type operator struct {
	name    string
	negated bool
	null    bool // tests only whether the key is present
	// compile compiles the values of a condition. bad is the index of a value
	// that does not have the operator's type, or -1.
	compile func(values []string, variables bool) (all operands, bad int)
	folded  bool // ignore case
	number  func(a, b float64) bool
	time    func(c int) bool
}

// operators holds all operators by name.
var operators = func() map[string]*operator {
	m := make(map[string]*operator)
	add := func(o operator) { m[o.name] = &o }
	// pair adds an operator and its negation, which share their operands.
	pair := func(name, negation string, o operator) {
		o.name = name
		add(o)
		o.name, o.negated = negation, true
		add(o)
	}
	pair("StringEquals", "StringNotEquals", operator{compile: compileExact})
	pair("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", operator{compile: compileExact, folded: true})
	pair("StringLike", "StringNotLike", operator{compile: compilePatterns})
	pair("ArnEquals", "ArnNotEquals", operator{compile: compileARNs})
	pair("ArnLike", "ArnNotLike", operator{compile: compileARNs})
	pair("IpAddress", "NotIpAddress", operator{compile: compileNetworks})
	pair("NumericEquals", "NumericNotEquals", operator{compile: compileNumbers, number: func(a, b float64) bool { return a == b }})
	pair("DateEquals", "DateNotEquals", operator{compile: compileTimes, time: func(c int) bool { return c == 0 }})
	for suffix, holds := range map[string]func(c int) bool{
		"LessThan":          func(c int) bool { return c < 0 },
		"LessThanEquals":    func(c int) bool { return c <= 0 },
		"GreaterThan":       func(c int) bool { return c > 0 },
		"GreaterThanEquals": func(c int) bool { return c >= 0 },
	} {
		add(operator{name: "Numeric" + suffix, compile: compileNumbers, number: func(a, b float64) bool {
			switch {
			case a < b:
				return holds(-1)
			case a > b:
				return holds(1)
			}
			return holds(0)
		}})
		add(operator{name: "Date" + suffix, compile: compileTimes, time: holds})
	}
	add(operator{name: "Bool", compile: compileTruths})
	add(operator{name: "Null", null: true, compile: compileTruths})
	add(operator{name: "BinaryEquals", compile: compileBinaries})
	return m
}()
