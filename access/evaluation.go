package access

import "context"

// Evaluation decides the needs of one request: what does not differ between them is
// looked up once. It is for one goroutine, and is worth nothing once the request has
// ended.
type Evaluation struct {
	ctx     context.Context
	p       *Principal
	request Context
}

// NewEvaluation begins to decide about a principal's request. The principal and the
// values of the request's condition keys must not change while it is used. When ctx
// ends, nobody waits for an answer: everything is denied from then on.
func NewEvaluation(ctx context.Context, p *Principal, request Context) *Evaluation {
	return &Evaluation{ctx: ctx, p: p, request: request}
}

// Ask says that the values of the request's condition keys are these from now on: more
// of them are known, in another map. What the evaluation has spent stays spent.
func (v *Evaluation) Ask(request Context) { v.request = request }

// Decide allows when every need is allowed. Needs of one request may come one after
// another: each is decided as the function of this name decides it.
func (v *Evaluation) Decide(needs ...Need) Decision {
	if err := v.ctx.Err(); err != nil {
		return deny("nobody waits for the answer: " + err.Error())
	}
	if len(needs) == 0 {
		return deny("no need was stated")
	}
	all := Decision{}
	for i := range needs {
		d := decide(v.p, v.request, &needs[i])
		if !d.Allow {
			return d
		}
		d.Public = d.Public || all.Public
		all = d
	}
	return all
}
