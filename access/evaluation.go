package access

import (
	"context"
	"reflect"
)

// Evaluation decides the needs of one request. What does not differ between them is
// looked up once: which statements may apply to an action, whether their conditions
// hold, what their variables stand for. All of its decisions together have one budget,
// MaxSteps, beyond which it denies. Once they have taken much, each waits until others of
// its tenant have left a processor to it. It is for one goroutine, and is worth nothing
// once the request has ended.
type Evaluation struct {
	p       *Principal
	request Context
	meter   meter
	asked   int // needs
	derived derived
	named   identity
	of      subject // what derived and named are of; of no action
	kept    int     // bytes that are remembered
	settled map[subject]*settled
}

// Bounds of what an Evaluation remembers.
const (
	// keepAfter is how many needs are decided without remembering anything: so few
	// cost more to remember than to decide.
	keepAfter = 3
	// maxKept is how many bytes one request may have remembered.
	maxKept = 4 << 20
	// keptEntry is what a thing that is remembered takes beside its text.
	keptEntry = 192
)

// subject is what needs have in common for which the same is settled.
type subject struct {
	action  string
	owner   ID // of the bucket
	account string
}

// settled is what all needs of one subject have in common.
type settled struct {
	fitting    map[*statement][]fitting // by the first of the statements
	conditions map[*condition]bool
	expansions map[*template]*expansion
}

// fitting is a statement that is about the action and the principal.
type fitting struct {
	*statement
	how grade
}

// NewEvaluation begins to decide about a principal's request. The principal and the
// values of the request's condition keys must not change while it is used. When ctx
// ends, nobody waits for an answer: everything is denied from then on.
func NewEvaluation(ctx context.Context, p *Principal, request Context) *Evaluation {
	return &Evaluation{p: p, request: request, meter: meter{ctx: ctx}}
}

// Ask says that the values of the request's condition keys are these from now on: more
// of them are known, in another map. What the evaluation has spent stays spent.
func (v *Evaluation) Ask(request Context) {
	if reflect.ValueOf(v.request).Pointer() != reflect.ValueOf(request).Pointer() {
		v.request, v.settled, v.kept = request, nil, 0
	}
}

// Decide allows when every need is allowed. Needs of one request may come one after
// another: each is decided as the function of this name decides it, as long as Err is
// nil.
func (v *Evaluation) Decide(needs ...Need) Decision {
	if len(needs) == 0 {
		return deny("no need was stated")
	}
	all := Decision{}
	defer v.meter.rest()
	for i := range needs {
		v.asked++
		v.meter.payer = payer(v.p, &needs[i])
		if v.meter.lookUp(); v.meter.over() {
			return deny(v.meter.err.Error())
		}
		d := v.decide(&needs[i])
		if v.meter.over() {
			return deny(v.meter.err.Error())
		}
		if !d.Allow {
			return d
		}
		d.Public = d.Public || all.Public
		all = d
	}
	return all
}

// payer is the tenant whose time it is that a decision takes: the principal's, or that of
// the bucket where nobody is known.
func payer(p *Principal, n *Need) ID {
	switch {
	case p != nil && !p.Tenant.IsZero():
		return p.Tenant
	case n.Bucket != nil:
		return n.Bucket.Owner
	}
	return ID{}
}

// Err is why the evaluation denies everything from now on: its context has ended, or
// its budget is used up. Nil: it does not.
func (v *Evaluation) Err() error { return v.meter.err }

// settle returns what is settled about needs such as this one; nil as long as nothing
// is remembered.
func (v *Evaluation) settle(n *Need) *settled {
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

// keep reports whether so many bytes more may be remembered.
func (v *Evaluation) keep(bytes int) bool {
	if v.kept+bytes > maxKept {
		return false
	}
	v.kept += bytes
	return true
}

// candidates are the statements that are about the action and the principal.
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

// holds reports whether a condition is met. One that nothing of the need itself decides
// is looked at once.
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

// ownOf reports whether the need itself may decide about a condition.
func (e *env) ownOf(c *condition) bool {
	if len(e.need) == 0 {
		return false
	}
	_, own := e.need[c.key]
	_, ownFolded := e.need[c.folded]
	return own || ownFolded || c.variables
}

// remembered is what a template with variables stands for, put together unless that
// is longer than most; nil where it is not remembered, because the need's own values are
// in it or there is no room.
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

// ownAny reports whether one of the keys has a value that is the need's own.
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

// about fills in what is derived of the principal and a bucket, which may be nil.
func (v *Evaluation) about(b *Bucket) {
	of := subject{action: "none"}
	if b != nil {
		of = subject{"some", b.Owner, b.Account}
	}
	if v.of != of {
		v.of, v.derived, v.named = of, derive(v.p, of.account), newIdentity(v.p, b)
	}
}
