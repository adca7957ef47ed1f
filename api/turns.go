package api

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Requests that ask the store for much, in many statements over one connection or again
// and again, hold connections of which there are few. Those of one tenant take turns, so
// that they leave connections to everybody else, and so do those of all tenants, so that
// some are always left to requests that ask for little.

// turnKind is whether an operation's requests take turns, and with which others.
type turnKind int

const (
	noTurn      turnKind = iota
	readingTurn          // with others that read much
	// delimiterTurn is readingTurn where the request has a delimiter: it asks as often as
	// there are common prefixes.
	delimiterTurn
	changingTurn // with others that change much; no listing waits for these
)

// tenantsAtTurns is for how many tenants there are turns, if each has all of its own.
const tenantsAtTurns = 3

// turnOf is a party that has turns.
type turnOf struct {
	tenant meta.ID
	kind   turnKind
}

// handle carries the request out, in its turn. That ends before the answer is sent: no
// slow client holds one.
func (x *exchange) handle() (*Reply, error) {
	r := x.req
	kind := r.Op.Turn
	if kind == delimiterTurn {
		if kind = noTurn; r.asked.delimiter.value != "" {
			kind = readingTurn
		}
	}
	if kind != noTurn {
		payer := r.Owner()
		if payer.IsZero() {
			payer = r.Bucket.Owner // of what nobody asks for
		}
		leave, err := x.turn(r.Context(), payer, kind)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	return r.Op.Handle(x.server, r)
}

// errTurn: others of the tenant took all turns for too long.
var errTurn = errors.New("the tenant has too much under way at the store")

// turn waits for a turn of the tenant's, which lasts until leave is called. SlowDown when
// there is none within maxTurnWait.
func (x *exchange) turn(ctx context.Context, tenant meta.ID, kind turnKind) (leave func(), err error) {
	within, cancel := context.WithTimeoutCause(ctx, maxTurnWait, errTurn)
	defer cancel()
	leave, err = x.server.turns.Enter(within, turnOf{tenant, kind})
	if errors.Is(err, errTurn) {
		x.reason = err.Error()
		return nil, s3err.SlowDown
	}
	return leave, err
}
