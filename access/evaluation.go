package access

import (
	"context"
	"reflect"
)

// Evaluation decides the needs of one request. It computes results that they
// share once: the statements that may apply to an action, whether conditions
// hold, and the values of variables. All decisions together have one budget,
// MaxSteps, beyond which it denies. After much work, each further decision
// waits until other requests of the tenant leave a processor free. It is for
// one goroutine and one request.
type Evaluation struct {
	p       *Principal
	request Context
	meter   meter
	asked   int // number of needs so far
	derived derived
	named   identity
	of      subject // subject of derived and named; its action is not set
	kept    int     // bytes that are remembered
	settled map[subject]*settled
}

// Bounds of an Evaluation's memory.
const (
	// keepAfter is the number of needs that are decided before anything is
	// remembered. For so few, remembering costs more than deciding.
	keepAfter = 3
	// maxKept bounds the remembered bytes of one request.
	maxKept = 4 << 20
	// keptEntry is the size of a remembered entry besides its text, in bytes.
	keptEntry = 192
)

// subject is the part of a need that decides which results it can share.
type subject struct {
	action  string
	owner   ID // of the bucket
	account string
}

// settled are the results that all needs of one subject share.
type settled struct {
	fitting    map[*statement][]fitting // by the address of the list's first statement
	conditions map[*condition]bool
	expansions map[*template]*expansion
}

// fitting is a statement about the action and the principal.
type fitting struct {
	*statement
	how grade
}

// NewEvaluation starts deciding about a principal's request. The principal and
// the request's condition keys must not change while it is used. When ctx ends,
// everything is denied, because nobody waits for an answer.
func NewEvaluation(ctx context.Context, p *Principal, request Context) *Evaluation {
	return &Evaluation{p: p, request: request, meter: meter{ctx: ctx}}
}

// Ask replaces the values of the request's condition keys, in another map, when
// more of them are known. The spent budget stays spent.
func (v *Evaluation) Ask(request Context) {
	// A map is compared by its identity, because the same one has the same values.
	if reflect.ValueOf(v.request).Pointer() != reflect.ValueOf(request).Pointer() {
		v.request, v.settled, v.kept = request, nil, 0
	}
}

// Decide allows if every need is allowed. It may be called several times; each
// need is decided as the function Decide would, while Err is nil.
func (v *Evaluation) Decide(needs ...Need) Decision {
	if len(needs) == 0 {
		return deny("no need was stated")
	}
	all := Decision{}
	// A turn must not be held while the caller does other work.
	defer v.meter.rest()
	for i := range needs {
		v.asked++
		v.meter.payer = payer(v.p, &needs[i])
		if v.meter.lookUp(); v.meter.over() {
			return deny(v.meter.err.Error())
		}
		d := v.decide(&needs[i])
		// The budget may have ended in the middle, which makes the decision
		// meaningless.
		if v.meter.over() {
			return deny(v.meter.err.Error())
		}
		if !d.Allow {
			return d
		}
		// The other facts are those of the last need.
		d.Public = d.Public || all.Public
		all = d
	}
	return all
}

// payer is the tenant whose turns a decision takes: the principal's, or the
// bucket owner's for an anonymous principal.
func payer(p *Principal, n *Need) ID {
	switch {
	case p != nil && !p.Tenant.IsZero():
		return p.Tenant
	case n.Bucket != nil:
		return n.Bucket.Owner
	}
	return ID{}
}

// Err tells why the evaluation denies everything from now on: its context has
// ended, or its budget is used up. nil: it decides.
func (v *Evaluation) Err() error { return v.meter.err }

// settle returns the shared results for needs like n; nil while nothing is
// remembered.
func (v *Evaluation) settle(n *Need) *settled {
	// Open keys give other results, which must not be shared.
	if v.asked <= keepAfter || n.Open != nil {
		return nil
	}
	s := subject{action: n.Action}
	if n.Bucket != nil {
		s.owner, s.account = n.Bucket.Owner, n.Bucket.Account
	}
	known := v.settled[s]
	if known == nil && v.keep(keptEntry) {
		if v.settled == nil {
			v.settled = make(map[subject]*settled)
		}
		known = &settled{make(map[*statement][]fitting), make(map[*condition]bool), make(map[*template]*expansion)}
		v.settled[s] = known
	}
	return known
}

// keep reports whether so many more bytes may be remembered, and counts them.
func (v *Evaluation) keep(bytes int) bool {
	if v.kept+bytes > maxKept {
		return false
	}
	v.kept += bytes
	return true
}

// candidates returns the statements about the action and the principal.
func (e *env) candidates(statements []statement, i *identity) []fitting {
	all, ok := e.settled.fitting[&statements[0]]
	if ok {
		return all
	}
	for n := range statements {
		if how := statements[n].fits(e, i); how > noMatch {
			all = append(all, fitting{&statements[n], how})
		}
	}
	if e.v.keep(keptEntry + 16*len(all)) {
		e.settled.fitting[&statements[0]] = all
	}
	return all
}

// holds reports whether a condition is met. A condition that does not depend on
// the need's own values is evaluated once.
func (e *env) holds(c *condition, deny bool) bool {
	if e.settled == nil || e.ownOf(c) {
		return c.holds(e, deny)
	}
	held, ok := e.settled.conditions[c]
	if !ok {
		held = c.holds(e, deny)
		if e.v.keep(keptEntry) {
			e.settled.conditions[c] = held
		}
	}
	return held
}

// ownOf reports whether the need's own values may decide about a condition.
func (e *env) ownOf(c *condition) bool {
	if len(e.need) == 0 {
		return false
	}
	_, own := e.need[c.key]
	_, ownFolded := e.need[c.folded]
	return own || ownFolded || c.variables
}

// remembered returns the expansion of a template with variables. It is put
// together unless it is longer than most. nil: it depends on the need's own
// values, or there is no room.
func (e *env) remembered(t *template, most int) *expansion {
	if e.settled == nil {
		return nil
	}
	x := e.settled.expansions[t]
	if x == nil {
		x = &expansion{variables: t.names()}
		if !e.v.keep(keptEntry + 16*len(x.variables)) {
			return nil
		}
		e.settled.expansions[t] = x
	}
	if e.ownAny(x.variables) {
		return nil
	}
	if !x.measured {
		variables := x.variables
		*x = t.measure(e, "", false)
		x.variables = variables
	}
	if x.resolved && x.least <= most && !x.made {
		if !e.v.keep(len(t.text) + x.least) {
			return nil
		}
		x.make(t, e)
	}
	return x
}

// ownAny reports whether the need itself has a value for one of the keys.
func (e *env) ownAny(keys []string) bool {
	if len(e.need) == 0 {
		return false
	}
	e.meter().spend(len(keys) * stepsStatement)
	for _, k := range keys {
		if _, own := e.need[k]; own {
			return true
		}
	}
	return false
}

// about computes the keys and names that depend on the principal and a bucket,
// or without one on the account that owns the resource.
func (v *Evaluation) about(b *Bucket, account string) {
	// No bucket differs from a bucket without an owner.
	of := subject{action: "none", account: account}
	if b != nil {
		of = subject{"some", b.Owner, b.Account}
	}
	if v.of != of {
		v.of, v.derived, v.named = of, derive(v.p, of.account), newIdentity(v.p, b)
	}
}
