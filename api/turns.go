package api

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Some requests ask much of the store, by many statements over one connection
// or again and again, and connections are few. Such requests of one tenant take
// turns, so that connections are left for other tenants. All tenants' together
// take turns as well, so that some are always left for small requests.

// turnKind says whether an operation's requests take turns, and with which
// others.
type turnKind int

const (
	noTurn turnKind = iota
	// readingTurn is with other requests that read much. A listing of uploads does
	// even without a delimiter: each row has all metadata of the object to be.
	readingTurn
	// delimiterTurn is readingTurn when the request has a delimiter: the store
	// is asked once for each common prefix.
	delimiterTurn
	changingTurn // with other requests that change much; listings do not wait for them
)

// tenantsAtTurns is the number of tenants that can have all of their turns at
// the same time.
const tenantsAtTurns = 3

// turnOf is the party that takes a turn.
type turnOf struct {
	tenant   meta.ID
	kind     turnKind
	unsigned bool // an anonymous request for a bucket of the tenant
}

// handle runs the handler, in its turn if it needs one. The turn ends before
// the answer is sent, so that no slow client holds one.
func (x *exchange) handle() (*Reply, error) {
	r := x.req
	kind := r.Op.Turn
	if kind == delimiterTurn {
		if kind = noTurn; r.asked.delimiter.value != "" {
			kind = readingTurn
		}
	}
	if kind != noTurn {
		party := turnOf{tenant: r.Owner(), kind: kind}
		if party.tenant.IsZero() {
			// Anonymous requests for a tenant's buckets have turns of their own: they keep
			// neither the tenant nor those for another's buckets waiting.
			party.tenant, party.unsigned = r.Bucket.Owner, true
		}
		leave, err := x.turn(r.Context(), party)
		if err != nil {
			return nil, err
		}
		defer leave()
		if err := x.decideLate(); err != nil { // the wait may have been long
			return nil, err
		}
	}
	return r.Op.Handle(x.server, r)
}

// errTurn: other requests of the tenant held all turns for too long.
var errTurn = errors.New("the tenant has too many expensive requests at the store")

// turn waits for a turn of the party. The turn lasts until leave is called.
// The error is SlowDown when none is free within maxTurnWait.
func (x *exchange) turn(ctx context.Context, party turnOf) (leave func(), err error) {
	within, cancel := context.WithTimeoutCause(ctx, maxTurnWait, errTurn)
	defer cancel()
	leave, err = x.server.turns.Enter(within, party)
	if errors.Is(err, errTurn) {
		x.reason = err.Error()
		return nil, s3err.SlowDown
	}
	return leave, err
}
